import type pg from 'pg';
import type { Claim } from '../contract/activities.ts';
import { type Cursor, encodeCursor } from '../contract/cursor.ts';
import { ledgerSql } from './schema.ts';
import { inTransaction } from '../stores/postgres/transaction.ts';
import {
  type Checkpoint,
  checkpointColumns,
  checkpointOf,
  type PartitionKey,
  where,
  whyNotMoved,
} from './checkpoint.ts';
import { holdClaim } from './hold-claim.ts';

/** Where partitions of a step stand, without taking any of them; those of another claim are left out. */
export async function readCheckpoints(
  pool: pg.Pool,
  { claim, step }: { readonly claim: Claim; readonly step: string },
  partitions: readonly number[],
): Promise<readonly (Checkpoint & { readonly partition: number })[]> {
  const query = ledgerSql
    .selectFrom('keystride.checkpoint')
    .select(['partition', ...checkpointColumns])
    .where('instance_key', '=', claim.instance)
    .where('step', '=', step)
    .where('partition', 'in', [...partitions])
    .where('epoch', '=', String(claim.epoch));
  const rows = await inTransaction(pool, (transaction) => transaction.run(query));
  return rows.map((row) => ({ partition: row.partition, ...checkpointOf(row) }));
}

/**
 * Cuts a partition in two: it keeps its keys up to `at`, its place and its counters; a new one begins behind `at` and
 * ends where the old one ended. Both happen in one transaction, so that the ranges have no gap and no overlap at any
 * moment, whatever becomes of the process between them.
 *
 * Only who has taken the checkpoint (see `takeCheckpoint`) may do this, and only while it stands where it stood then:
 * a chunk that had committed since might lie behind the cut. The other way round, a page attempt that still lives
 * finds another holder when it comes to commit, and its chunk, which may reach over the cut, rolls back.
 *
 * @param taken the checkpoint as it was taken.
 * @param into the number of the new partition.
 * @throws Fenced, Superseded.
 */
export async function splitCheckpoint(
  pool: pg.Pool,
  key: PartitionKey,
  holder: string,
  taken: Checkpoint,
  at: Cursor,
  into: number,
): Promise<void> {
  await inTransaction(pool, async (transaction) => {
    await holdClaim(transaction, key.claim);
    const shortened = await transaction.run(
      where(ledgerSql.updateTable('keystride.checkpoint'), key)
        .set({ upper: encodeCursor(at), seq: taken.seq + 1 })
        .where('epoch', '=', String(key.claim.epoch))
        .where('holder', '=', holder)
        .where('seq', '=', String(taken.seq))
        .where('done', '=', false)
        .returning('seq'),
    );
    if (shortened.length === 0) throw await whyNotMoved(transaction, key);
    await transaction.run(
      ledgerSql.insertInto('keystride.checkpoint').values({
        instance_key: key.claim.instance,
        step: key.step,
        partition: into,
        lower: encodeCursor(at),
        upper: encodeCursor(taken.range.upper),
        cursor: null,
        holder: null,
        epoch: key.claim.epoch,
      }),
    );
  });
}
