import type { Claim } from '../contract/claim.ts';
import { type Cursor, encodeCursor } from '../contract/cursor.ts';
import { ledgerSql } from './schema.ts';
import {
  type Checkpoint,
  checkpointColumns,
  checkpointOf,
  type TakenCheckpoint,
  where,
  whyNotMoved,
} from './checkpoint.ts';
import { holdClaim } from './hold-claim.ts';
import type { Ledger } from './ledger.ts';

/** Where partitions of a step stand, without taking any of them; those of another claim are left out. */
export async function readCheckpoints(
  ledger: Ledger,
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
  const rows = await ledger.run(query);
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
 * @param taken what taking the checkpoint has answered.
 * @param into the number of the new partition.
 * @throws Fenced, Superseded.
 */
export async function splitCheckpoint(
  ledger: Ledger,
  taken: Pick<TakenCheckpoint, 'lease' | 'range'>,
  at: Cursor,
  into: number,
): Promise<void> {
  const { lease, range } = taken;
  await ledger.transaction(async (transaction) => {
    await holdClaim(transaction, lease.claim);
    const shortened = await transaction.run(
      where(ledgerSql.updateTable('keystride.checkpoint'), lease)
        .set({ upper: encodeCursor(at), seq: lease.seq + 1 })
        .where('epoch', '=', String(lease.claim.epoch))
        .where('holder', '=', lease.holder)
        .where('seq', '=', String(lease.seq))
        .where('done', '=', false)
        .returning('seq'),
    );
    if (shortened.length === 0) throw await whyNotMoved(transaction, lease);
    await transaction.run(
      ledgerSql.insertInto('keystride.checkpoint').values({
        instance_key: lease.claim.instance,
        step: lease.step,
        partition: into,
        lower: encodeCursor(at),
        upper: encodeCursor(range.upper),
        cursor: null,
        holder: null,
        epoch: lease.claim.epoch,
      }),
    );
  });
}
