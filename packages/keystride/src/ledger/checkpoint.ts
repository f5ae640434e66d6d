import { sql } from 'kysely';
import pg from 'pg';
import type { Claim } from '../contract/claim.ts';
import { type Cursor, decodeCursor, encodeCursor, type KeyRange } from '../contract/cursor.ts';
import { failure } from '../contract/errors.ts';
import type { Counters } from '../contract/progress.ts';
import { ledgerSql } from './schema.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { nextFence } from './fence.ts';
import { holdClaim, ledgerBehind } from './hold-claim.ts';
import type { Ledger } from './ledger.ts';

/** One partition of one claim. */
export interface PartitionKey {
  readonly claim: Claim;
  readonly step: string;
  readonly partition: number;
}

/**
 * The right to commit to a partition: what a page attempt has from taking its checkpoint, and from each of its commits
 * on. The ledger honours it while claim, holder and sequence number are those that it has itself: whoever takes the
 * checkpoint later, or claims the instance, ends it.
 */
export interface Lease extends PartitionKey {
  /** Names the attempt. */
  readonly holder: string;
  /** How many chunks have committed to the partition when the next one begins. */
  readonly seq: number;
}

/** The lease after one more chunk has committed. */
export function afterChunk(lease: Lease): Lease {
  return { ...lease, seq: lease.seq + 1 };
}

/** Where a partition stands. */
export interface Checkpoint {
  readonly range: KeyRange;
  readonly cursor: Cursor | null;
  readonly counters: Counters;
  readonly done: boolean;
}

/** A checkpoint that was taken, and the number under which its holder writes to other stores. */
export interface TakenCheckpoint extends Checkpoint {
  readonly lease: Lease;
  readonly fence: number;
  /** What the order of the keys depended on when the step opened; null where nobody has told. */
  readonly order: string | null;
}

/** What a chunk adds to a checkpoint. */
export interface Advance {
  /** The last key that is done; null leaves it where it was. */
  readonly cursor: Cursor | null;
  readonly counters: Counters;
  readonly done: boolean;
}

/** What `checkpointOf` reads. */
export const checkpointColumns = [
  'lower',
  'upper',
  'cursor',
  'epoch',
  'seq',
  'holder',
  'read',
  'read_skipped',
  'filtered',
  'written',
  'skipped',
  'done',
] as const;

/**
 * Makes this page attempt the only one that may commit to the partition, and reads where it stands.
 *
 * An attempt that lost its heartbeat may still be alive, even frozen with a commit in hand: from here on its
 * compare-and-set finds another holder, and nothing it does commits.
 *
 * @throws Fenced when the claim is lost; LedgerBehind when the ledger has lost it, or the partition; OtherLedger.
 */
export async function takeCheckpoint(
  ledger: Ledger,
  key: PartitionKey,
  holder: string,
): Promise<TakenCheckpoint> {
  const query = where(ledgerSql.updateTable('keystride.checkpoint'), key)
    .set({ holder, updated_at: sql<string>`now()` })
    .where('epoch', '=', String(key.claim.epoch))
    .returning(checkpointColumns)
    .returning((checkpoint) =>
      checkpoint
        .selectFrom('keystride.step')
        .select('key_order')
        .whereRef('keystride.step.instance_key', '=', 'keystride.checkpoint.instance_key')
        .whereRef('keystride.step.step', '=', 'keystride.checkpoint.step')
        .as('order'),
    );
  return ledger.transaction(async (transaction) => {
    await holdClaim(transaction, key.claim);
    const [row] = await transaction.run(query);
    if (!row) throw partitionLost(key);
    const lease = { ...key, holder, seq: Number(row.seq) };
    return { ...checkpointOf(row), lease, fence: await nextFence(transaction), order: row.order };
  });
}

/**
 * Holds the row of a partition until the transaction ends, so that no later attempt can take it meanwhile.
 *
 * @throws Fenced, Superseded when one has taken it already.
 */
export async function holdCheckpoint(transaction: Transaction, lease: Lease): Promise<void> {
  const query = where(ledgerSql.selectFrom('keystride.checkpoint'), lease).select(['epoch', 'holder']);
  const [row] = await transaction.run(query.forShare());
  if (!row || Number(row.epoch) !== lease.claim.epoch) throw await lost(transaction, lease);
  if (row.holder !== lease.holder) throw superseded(lease);
}

/** The row of a partition, if it still stands where this attempt has left it: what `leftBy` gives are its values. */
const asLeft = `
  WHERE instance_key = $1 AND step = $2 AND partition = $3 AND epoch = $4 AND holder = $5 AND seq = $6
  RETURNING seq`;

function leftBy({ claim, step, partition, holder, seq }: Lease): Value[] {
  return [claim.instance, step, partition, claim.epoch, holder, seq];
}

type Value = string | number | boolean | null;

/** A statement with its values in the place of `$1` and so on. */
function withValues(text: string, values: readonly Value[]): string {
  return text.replaceAll(/\$(\d+)/gu, (_, place: string) => {
    const value = values[Number(place) - 1] ?? null;
    return typeof value === 'string' ? pg.escapeLiteral(value) : `(${String(value)})`;
  });
}

/**
 * As text: it runs once a chunk, and with small chunks building it anew would be a tenth of the worker's work. Its values
 * are put into it, so that it goes out in one message with what begins the transaction: see `withValues`.
 */
const advance = `
  UPDATE keystride.checkpoint
     SET seq = seq + 1, cursor = coalesce($7, cursor), done = $8, updated_at = now(),
         read = read + $9, read_skipped = read_skipped + $10, filtered = filtered + $11,
         written = written + $12, skipped = skipped + $13
  ${asLeft}`;

const touch = `UPDATE keystride.checkpoint SET updated_at = now() ${asLeft}`;

/**
 * The compare-and-set that opens every chunk's transaction: it moves the checkpoint on if epoch, holder and
 * sequence number are still the ones this attempt knows. When it finds no row, nothing else of the chunk may be
 * written: the caller's transaction rolls back.
 *
 * @throws Fenced, Superseded.
 */
export async function advanceCheckpoint(
  transaction: Transaction,
  lease: Lease,
  { cursor, counters, done }: Advance,
): Promise<void> {
  const { read, readSkipped, filtered, written, skipped } = counters;
  const values = [
    ...leftBy(lease),
    ...[cursor && encodeCursor(cursor), done],
    ...[read, readSkipped, filtered, written, skipped],
  ];
  const { rowCount } = await transaction.query(withValues(advance, values));
  if (rowCount === 0) throw await whyNotMoved(transaction, lease);
}

/**
 * Writes to a checkpoint that stands where this attempt has left it, and changes nothing of it.
 *
 * @throws Fenced, Superseded.
 */
export async function touchCheckpoint(transaction: Transaction, lease: Lease): Promise<void> {
  const { rowCount } = await transaction.query(touch, leftBy(lease));
  if (rowCount === 0) throw await whyNotMoved(transaction, lease);
}

/** Corrects the counters by what only writing the chunk has shown, in its transaction. */
export async function amendCounters(
  transaction: Transaction,
  key: PartitionKey,
  changes: Pick<Counters, 'read' | 'filtered' | 'written' | 'skipped'>,
): Promise<void> {
  if (Object.values(changes).every((change) => change === 0)) return;
  await transaction.run(
    where(ledgerSql.updateTable('keystride.checkpoint'), key).set({
      read: sql<string>`read + ${changes.read}`,
      filtered: sql<string>`filtered + ${changes.filtered}`,
      written: sql<string>`written + ${changes.written}`,
      skipped: sql<string>`skipped + ${changes.skipped}`,
    }),
  );
}

/**
 * Finds out whether a transaction whose COMMIT was not answered has committed.
 *
 * @param lease as it was before.
 * @returns true when the checkpoint stands one chunk further by this attempt's own doing.
 * @throws Fenced, Superseded when another attempt has taken over: then its checkpoint decides.
 */
export async function hasCommitted(ledger: Ledger, lease: Lease): Promise<boolean> {
  return ledger.transaction(async (transaction) => {
    // FOR UPDATE waits for the lost transaction, should the server still be at it.
    const [row] = await transaction.run(
      where(ledgerSql.selectFrom('keystride.checkpoint'), lease)
        .select(['epoch', 'holder', 'seq'])
        .forUpdate(),
    );
    if (!row || Number(row.epoch) !== lease.claim.epoch) throw await lost(transaction, lease);
    if (row.holder !== lease.holder) throw superseded(lease);
    return Number(row.seq) === lease.seq + 1;
  });
}

/** The failure of a compare-and-set that found no row. */
export async function whyNotMoved(transaction: Transaction, key: PartitionKey): Promise<Error> {
  const [row] = await transaction.run(
    where(ledgerSql.selectFrom('keystride.checkpoint'), key).select(['epoch', 'holder']),
  );
  return row && Number(row.epoch) === key.claim.epoch ? superseded(key) : lost(transaction, key);
}

/** The failure of an attempt that finds no checkpoint of its execution. @throws Fenced, LedgerBehind, OtherLedger. */
async function lost(transaction: Transaction, key: PartitionKey): Promise<Error> {
  await holdClaim(transaction, key.claim);
  return partitionLost(key);
}

function partitionLost({ claim, step, partition }: PartitionKey): Error {
  return ledgerBehind(claim.instance, `it has no partition ${partition} of step ${step}`);
}

/**
 * Temporal may try again: when it is the live attempt that was overtaken by a ghost waking up, its retry takes the
 * partition back.
 */
function superseded(key: PartitionKey) {
  return failure(
    'Superseded',
    `${key.claim.instance} step ${key.step} partition ${key.partition}: a later attempt has taken over this page, ` +
      'or the database has crashed and come back without its last chunks.',
    { retryable: true },
  );
}

/** What `where` needs of a query builder. */
interface Filterable {
  where(column: 'instance_key' | 'step' | 'partition', operator: '=', value: string | number): this;
}

/** Restricts a query to the row of a partition. */
export function where<Query extends Filterable>(query: Query, key: PartitionKey): Query {
  return query
    .where('instance_key', '=', key.claim.instance)
    .where('step', '=', key.step)
    .where('partition', '=', key.partition);
}

interface CheckpointRow {
  lower: string | null;
  upper: string | null;
  cursor: string | null;
  read: string;
  read_skipped: string;
  filtered: string;
  written: string;
  skipped: string;
  done: boolean;
}

/** What a row says. */
export function checkpointOf(row: CheckpointRow): Checkpoint {
  return {
    range: { lower: decodeCursor(row.lower), upper: decodeCursor(row.upper) },
    cursor: decodeCursor(row.cursor),
    counters: countersOf(row),
    done: row.done,
  };
}

/** Counters as the ledger stores them. */
export function countersOf(
  row: Pick<CheckpointRow, 'read' | 'read_skipped' | 'filtered' | 'written' | 'skipped'>,
): Counters {
  return {
    read: Number(row.read),
    readSkipped: Number(row.read_skipped),
    filtered: Number(row.filtered),
    written: Number(row.written),
    skipped: Number(row.skipped),
  };
}
