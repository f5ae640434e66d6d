import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';

/** How often the open transactions are looked at, in milliseconds. */
const lookEvery = 100;

/**
 * Waits until every transaction that is open now has ended.
 *
 * Ids are handed out before their transaction commits, so a row may appear below a key that a reader has passed. When
 * the upper key is frozen first and read only after this, whatever was being inserted below it is there. An id that
 * was handed out long before its transaction began to write is not covered: only a sweep finds it.
 *
 * @param atMostMs how long to wait, in milliseconds.
 * @returns false when a transaction was still open after that time.
 */
export async function openTransactionsEnded(pool: pg.Pool, atMostMs: number): Promise<boolean> {
  const until = performance.now() + atMostMs;
  const { rows } = await pool.query<{ next: string }>(
    'SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next',
  );
  for (;;) {
    const ended = await pool.query<{ ended: boolean }>(
      'SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8 AS ended',
      [rows[0]?.next],
    );
    if (ended.rows[0]?.ended === true) return true;
    if (performance.now() > until) return false;
    await delay(lookEvery);
  }
}
