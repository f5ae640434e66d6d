import { sql } from 'kysely';
import type { Authorship } from '../contract/audit.ts';
import { storableText } from '../stores/postgres/storable-text.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { enterChange } from './audit.ts';
import { type RunningExecution, runningExecutions } from './executions.ts';
import type { Asked, Ledger } from './ledger.ts';
import { ledgerSql } from './schema.ts';
import { type SkipFilter, skipsOf, type SkipStatus } from './skip-filter.ts';
import { countByStatus } from './skip-list.ts';

/** Who waives skips, and why: there must be a reason. */
export interface Waiver extends Authorship {
  readonly reason: string;
}

/** What has become of a waiver: a redrive that is at work refuses it, and nothing was changed. */
export type WaiverOutcome =
  | { readonly refusedBy: RunningExecution }
  | {
      readonly waived: number;
      /** The skips that were meant, by the state in which they were found. */
      readonly before: Readonly<Record<SkipStatus, number>>;
    };

/**
 * Closes the open skips that a filter means without running them. Those that somebody has waived before keep their
 * reason.
 *
 * @param dead redrives that the ledger believes to run, and Temporal does not. What they commit from now on is refused.
 */
export async function waiveSkips(
  ledger: Ledger,
  instance: string,
  filter: SkipFilter,
  waiver: Waiver,
  dead: readonly RunningExecution[],
): Promise<WaiverOutcome> {
  return ledger.transaction(async (transaction) => {
    const job = await lockAgainstRedrives(transaction, instance);
    const known = new Set(dead.map((execution) => execution.instance));
    const begun = (await runningRedrives(transaction, instance)).find(
      (execution) => !known.has(execution.instance),
    );
    if (begun) return { refusedBy: begun };
    const before = await countByStatus(transaction, instance, filter);
    const waived = await close(transaction, instance, filter, waiver);
    // Doing again what is done changes nothing.
    if (waived > 0) {
      const { fingerprint, step, key } = filter;
      const after = { waived, fingerprint, step, ...(key && { keys: key.length }) };
      await enterChange(transaction, {
        ...waiver,
        ...{
          action: 'skips waive',
          ...(job !== undefined && { job }),
          instance,
          before: { open: before.open },
          after,
        },
      });
    }
    return { waived, before };
  });
}

/** A redrive takes this lock when it begins: it has begun, and is seen after this, or it finds what is left. */
/** @returns the job of the instance */
async function lockAgainstRedrives(transaction: Transaction, instance: string): Promise<string | undefined> {
  const [row] = await transaction.run(
    ledgerSql.selectFrom('keystride.instance').select('job').where('instance_key', '=', instance).forUpdate(),
  );
  return row?.job;
}

/** The redrives of an instance that the ledger believes to run. */
export async function runningRedrives(ledger: Asked, instance: string): Promise<RunningExecution[]> {
  return (await runningExecutions(ledger, instance)).filter((execution) => execution.instance !== instance);
}

async function close(
  transaction: Transaction,
  instance: string,
  filter: SkipFilter,
  { reason, by }: Waiver,
): Promise<number> {
  const matching = skipsOf(instance, { ...filter, status: 'open' }).select(['step', 'item_key', 'phase']);
  const waived = await transaction.run(
    ledgerSql
      .updateTable('keystride.skip')
      .set({
        status: 'waived',
        reason: storableText(reason),
        settled_by: storableText(by.operator),
        settled_at: sql<string>`now()`,
      })
      .where('instance_key', '=', instance)
      .where(sql<boolean>`(step, item_key, phase) in (${matching})`)
      .returning('item_key'),
  );
  return waived.length;
}
