import { setTimeout as delay } from 'node:timers/promises';
import type { Transaction } from './transaction.ts';

/** How often the locks are looked at, in milliseconds. */
const lookEvery = 100;

/** Whoever has inserted, updated or deleted rows of a table holds this lock until the transaction ends. */
const writers = `
  SELECT virtualtransaction FROM pg_locks
   WHERE locktype = 'relation' AND relation = $1::regclass AND mode = 'RowExclusiveLock' AND granted
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND pid IS DISTINCT FROM pg_backend_pid()`;

/**
 * Waits until every other transaction that has written to a table by now has ended. Those that begin to write later are
 * not waited for, and nobody is held up.
 *
 * What was read of the table before, such as its highest id, then has everything below it that will ever be there: an
 * id is handed out to a transaction that has the table locked already.
 *
 * @param table as SQL names it.
 * @param atMostMs how long to wait, in milliseconds.
 * @returns false when one was still open after that time.
 */
export async function writersEnded(
  transaction: Transaction,
  table: string,
  atMostMs: number,
): Promise<boolean> {
  const until = performance.now() + atMostMs;
  const waitedFor = new Set(await writersOf(transaction, table));
  while (waitedFor.size > 0) {
    if (performance.now() > until) return false;
    await delay(lookEvery);
    const now = new Set(await writersOf(transaction, table));
    for (const writer of waitedFor) if (!now.has(writer)) waitedFor.delete(writer);
  }
  return true;
}

async function writersOf(transaction: Transaction, table: string): Promise<string[]> {
  const { rows } = await transaction.query<{ virtualtransaction: string }>(writers, [table]);
  return rows.map(({ virtualtransaction }) => virtualtransaction);
}
