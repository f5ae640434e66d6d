import type pg from 'pg';
import { sql } from 'kysely';
import { type Cursor, decodeCursor } from '../../../contract/cursor.ts';
import { migration } from '../../../stores/postgres/sql.ts';
import { type Transaction, inTransaction } from '../../../stores/postgres/transaction.ts';

/** How far the runs of a stream have come; null before the first one has ended. */
export async function readOffset(pool: pg.Pool, stream: string): Promise<Cursor | null> {
  const query = migration.selectFrom('keystride.stream_offset').select('cursor').where('stream', '=', stream);
  const [row] = await inTransaction(pool, (transaction) => transaction.run(query));
  return decodeCursor(row?.cursor ?? null);
}

/** Notes whether the run that has just been planned reads everything below its upper key. */
export async function noteSettled(pool: pg.Pool, stream: string, settled: boolean): Promise<void> {
  const query = migration
    .insertInto('keystride.stream_offset')
    .values({ stream, cursor: null, settled })
    .onConflict((conflict) =>
      conflict.column('stream').doUpdateSet({ settled, updated_at: sql<string>`now()` }),
    );
  await inTransaction(pool, (transaction) => transaction.run(query));
}

/**
 * Moves a stream's offset to the end of a completed step, unless its run was not settled: then the next run reads the
 * same keys again.
 *
 * @returns whether it moved.
 */
export async function rememberOffset(
  transaction: Transaction,
  stream: string,
  { instance, step }: { readonly instance: string; readonly step: string },
): Promise<boolean> {
  const [last] = await transaction.run(
    migration
      .selectFrom('keystride.checkpoint')
      .select('upper')
      .where('instance_key', '=', instance)
      .where('step', '=', step)
      .orderBy('partition', 'desc')
      .limit(1),
  );
  // Without a partition there was nothing above the offset.
  if (!last) return true;
  const moved = await transaction.run(
    migration
      .updateTable('keystride.stream_offset')
      .set({ cursor: last.upper, updated_at: sql<string>`now()` })
      .where('stream', '=', stream)
      .where('settled', '=', true)
      .returning('cursor'),
  );
  return moved.length > 0;
}
