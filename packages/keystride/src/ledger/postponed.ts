import { type Cursor, decodeCursor, encodeCursor } from '../contract/cursor.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { amendCounters, type PartitionKey } from './checkpoint.ts';
import { recordSkips, type Skip } from './skips.ts';

/**
 * Rows that a chunk has read and could not write yet, because what they refer to comes later. They count as filtered
 * until the step ends; then they are written, or skipped.
 */

interface Place {
  readonly instance: string;
  readonly step: string;
}

export interface Postponed {
  readonly cursor: Cursor;
  readonly partition: number;
}

/**
 * Notes rows in the transaction of their chunk: their partition is the one whose checkpoint it has moved.
 *
 * @returns false, and nothing is noted, where the transaction is no chunk of that step: a redrive, a repair, a trial.
 */
export async function notePostponed(
  transaction: Transaction,
  { instance, step }: Place,
  cursors: readonly Cursor[],
): Promise<boolean> {
  const { rowCount } = await transaction.query(
    `INSERT INTO keystride.postponed_row (instance_key, step, cursor, partition)
     SELECT $1, $2, later.place, checkpoint.partition
       FROM unnest($3::text[]) AS later (place), keystride.checkpoint
      WHERE instance_key = $1 AND step = $2 AND checkpoint.xmin = pg_current_xact_id()::xid
         ON CONFLICT (instance_key, step, cursor) DO UPDATE SET partition = excluded.partition`,
    [instance, step, cursors.map((cursor) => encodeCursor(cursor))],
  );
  return rowCount === cursors.length;
}

/** Takes the rows of a step that were postponed, in the order in which they were: they are not there any more. */
export async function takePostponed(
  transaction: Transaction,
  { instance, step }: Place,
): Promise<Postponed[]> {
  const { rows } = await transaction.query<{ cursor: string; partition: number }>(
    `WITH taken AS (DELETE FROM keystride.postponed_row WHERE instance_key = $1 AND step = $2 RETURNING *)
     SELECT cursor, partition FROM taken ORDER BY number`,
    [instance, step],
  );
  return rows.flatMap(({ cursor, partition }) => {
    const decoded = decodeCursor(cursor);
    return decoded ? [{ cursor: decoded, partition }] : [];
  });
}

/** What has become of the rows that a partition had postponed. */
interface Settled {
  readonly written: number;
  readonly skips: readonly Skip[];
  /** How far the reader says that its source had come. */
  readonly readUpTo?: string | null | undefined;
}

/**
 * Puts the books of a partition right: so many of its rows that had been postponed were written, these are skipped.
 *
 * @throws SkipLimitExceeded
 */
export async function settlePostponed(
  transaction: Transaction,
  key: PartitionKey,
  { written, skips, readUpTo }: Settled,
): Promise<void> {
  const filtered = -written - skips.length;
  await amendCounters(transaction, key, { read: 0, filtered, written, skipped: skips.length });
  if (skips.length > 0) await recordSkips(transaction, key, skips, { readUpTo });
}
