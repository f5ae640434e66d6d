import { sql } from 'kysely';
import type { Claim } from '../contract/claim.ts';
import { failure } from '../contract/errors.ts';
import { shellWord } from '../contract/shell.ts';
import { ledgerSql } from './schema.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';

/**
 * Which ledger this is. A restore in place and a promoted standby are the same; another server's is not, nor is a copy
 * in a database of its own.
 */
export const ledgerIdentity = sql<string>`(
  select ledger.id || '/' || database.oid
    from keystride.ledger as ledger, pg_database as database
   where database.datname = current_database())`;

/** The id that a ledger keeps where its database is moved to another one. @param ledger as a claim names it. */
export function idOfLedger(ledger: string): string {
  return ledger.split('/', 1)[0] ?? '';
}

/** Who has an instance, as its row in the ledger says. */
export interface Holder {
  readonly epoch: number;
  readonly workflowId: string;
  /** The ledger that the row is in. */
  readonly ledger: string;
}

/**
 * Whether an instance is held under this claim. A claim of a build that did not note whose it is, and where, is known by
 * its epoch alone.
 */
export function isHeldBy(claim: Claim, holder: Holder): boolean {
  return (
    holder.epoch === claim.epoch &&
    (claim.owner === undefined || claim.owner === holder.workflowId) &&
    (claim.ledger === undefined || claim.ledger === holder.ledger)
  );
}

/**
 * Holds the instance's row until the transaction ends, so that it cannot be claimed meanwhile.
 *
 * @throws Fenced when a later execution has claimed it already; JobInstanceAlreadyComplete when it has been pruned;
 * LedgerBehind, OtherLedger.
 */
export async function holdClaim(transaction: Transaction, claim: Claim): Promise<void> {
  const [row] = await transaction.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select(['status', 'epoch', 'owner_workflow_id', 'pruned_at', ledgerIdentity.as('ledger')])
      .where('instance_key', '=', claim.instance)
      .where('epoch', '=', String(claim.epoch))
      .forShare(),
  );
  const held = row && isHeldBy(claim, holderOf(row));
  if (!held) throw await claimLost(transaction, claim);
  // A run that was reset to a moment before it had completed finds nothing of what it has done, and would do it again.
  if (row.pruned_at !== null) throw alreadyComplete(claim.instance);
  if (row.status !== 'running') await reopenInstance(transaction, claim);
}

/** Who has an instance, as a query tells it. */
export function holderOf(row: { epoch: string; owner_workflow_id: string; ledger: string }): Holder {
  return { epoch: Number(row.epoch), workflowId: row.owner_workflow_id, ledger: row.ledger };
}

/**
 * Notes that an execution which has failed or was stopped goes on under the claim it had: its history was reset to a
 * moment after the claim. From here on it runs for everybody, as after a claim.
 */
export async function reopenInstance(transaction: Transaction, claim: Claim): Promise<void> {
  await transaction.run(
    ledgerSql
      .updateTable('keystride.instance')
      .set({ status: 'running', closed_at: null })
      .where('instance_key', '=', claim.instance)
      .where('epoch', '=', String(claim.epoch))
      .where('status', 'in', ['failed', 'stopped']),
  );
}

/** The failure of an execution that does not find its claim: fenced, in another ledger, or in one that went back. */
export async function claimLost(transaction: Transaction, claim: Claim): Promise<Error> {
  const [row] = await transaction.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select(['epoch', 'owner_workflow_id'])
      .where('instance_key', '=', claim.instance),
  );
  const other = await otherLedgerOf(transaction, claim);
  if (other) return other;
  if (!row)
    return ledgerBehind(claim.instance, `it knows nothing of it, which epoch ${claim.epoch} has claimed`);
  const epoch = Number(row.epoch);
  if (epoch < claim.epoch)
    return ledgerBehind(
      claim.instance,
      `there it stands at epoch ${epoch}, though epoch ${claim.epoch} has claimed it`,
    );
  return fenced(claim, row.owner_workflow_id);
}

async function otherLedgerOf(transaction: Transaction, claim: Claim): Promise<Error | undefined> {
  return refuseOther(claim, await readLedger(transaction));
}

/** The failure of a start, or of a run that was reset, when the instance has completed. */
export function alreadyComplete(instance: string) {
  return failure(
    'JobInstanceAlreadyComplete',
    `${instance} has completed. Start it with another identifying parameter to run it again.`,
  );
}

/** Which ledger a transaction is in; null where it has lost its identity. */
export async function readLedger(transaction: Transaction): Promise<string | null> {
  const [row] = await transaction.run(ledgerSql.selectNoFrom(ledgerIdentity.as('ledger')));
  return row?.ledger ?? null;
}

/** The failure of a run in another ledger than its claim's; undefined where it is the same. */
export function refuseOther(claim: Claim, ledger: string | null): Error | undefined {
  if (claim.ledger === undefined || claim.ledger === ledger) return undefined;
  const [claimed, found] = [claim.ledger.split('/'), (ledger ?? 'none').split('/')];
  const what =
    claimed[0] === found[0]
      ? 'a copy of that ledger in another database'
      : `another ledger (${found[0]}, the claim is in ${claimed[0]})`;
  return failure(
    'OtherLedger',
    `${claim.instance}: DATABASE_URL of this worker leads to ${what}. The run was claimed elsewhere and does nothing here. ` +
      'Correct DATABASE_URL; or, if this database has taken the place of the other, end the run ' +
      `(temporal workflow terminate --workflow-id ${shellWord(claim.owner ?? claim.instance)}) and start the job again.`,
    // Another worker may be set up rightly.
    { retryable: true },
  );
}

/** The failure of an execution whose instance a later one has claimed. */
export function fenced(claim: Claim, by?: string) {
  return failure(
    'Fenced',
    `${claim.instance} has been claimed by a later execution${by === undefined || by === claim.owner ? '' : `, workflow ${by}`}; ` +
      `this one (epoch ${claim.epoch}) commits nothing more.`,
  );
}

/**
 * The failure of an execution that finds less in the ledger than has been answered to it: a standby without the last
 * commits was promoted, or the database was restored to an earlier moment.
 *
 * @param what is missing there: steps, partitions, rows.
 */
export function ledgerBehind(
  instance: string,
  what: string,
  todo = 'Start it again with the same parameters: it goes on from what is there.',
) {
  return failure(
    'LedgerBehind',
    `${instance}: the ledger is behind the history: ${what}. The database has lost commits that it had acknowledged, as ` +
      `after a failover to a standby without them or a restore to an earlier moment. ${todo}`,
  );
}
