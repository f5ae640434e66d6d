import { sql } from 'kysely';
import type { Asked } from './ledger.ts';
import { placeFrom, placeText } from './place-in-list.ts';
import { ledgerSql } from './schema.ts';

/** An item that has ended its step. */
export interface ListedDeadLetter {
  readonly instance: string;
  readonly workflowId: string;
  readonly runId: string;
  readonly step: string;
  readonly partition: number;
  readonly key: string;
  readonly phase: string;
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
  /** ISO time. */
  readonly at: string;
}

/** Some of a list, and where the next ones begin. */
export interface DeadLetterPage {
  readonly letters: readonly ListedDeadLetter[];
  /** What `after` takes; null when these are the last. */
  readonly next: string | null;
}

/**
 * Dead letters, the last one first: of an instance, or of all.
 *
 * @param after where the page before it ended
 */
export async function pageOfDeadLetters(
  ledger: Asked,
  instance: string | undefined,
  { after, limit }: { readonly after?: string | undefined; readonly limit: number },
): Promise<DeadLetterPage> {
  let query = ledgerSql.selectFrom('keystride.dead_letter');
  if (instance !== undefined) query = query.where('instance_key', '=', instance);
  const place = placeFrom(after, 5);
  if (place)
    query = query.where(
      sql<boolean>`(created_at, instance_key, step, item_key, phase) < (${sql.join([...place])})`,
    );
  const rows = await ledger.run(
    query
      .select(['instance_key as instance', 'workflow_id as workflowId', 'run_id as runId', 'step', 'phase'])
      .select(['partition', 'item_key as key', 'code', 'message', 'attempts'])
      .select([
        sql<string>`to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`.as('at'),
        sql<string>`created_at::text`.as('recorded'),
      ])
      .orderBy('created_at', 'desc')
      .orderBy('instance_key', 'desc')
      .orderBy('step', 'desc')
      .orderBy('item_key', 'desc')
      .orderBy('phase', 'desc')
      .limit(limit + 1),
  );
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return {
    letters: rows.slice(0, limit).map(({ recorded: _, ...letter }) => letter),
    next: last ? placeText([last.recorded, last.instance, last.step, last.key, last.phase]) : null,
  };
}
