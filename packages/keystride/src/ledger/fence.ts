import type { Transaction } from '../stores/postgres/transaction.ts';

const next = `
  INSERT INTO keystride.fence AS known (last)
  VALUES (greatest((extract(epoch FROM clock_timestamp()) * 1000)::bigint, $1::bigint + 1))
  ON CONFLICT (one) DO UPDATE SET last = greatest(known.last + 1, excluded.last)
  RETURNING last`;

/**
 * Hands out the next fence: above every one before it, at least the clock in milliseconds, so that a ledger that has
 * been restored, or failed over, goes on above what it has forgotten without having to know it.
 *
 * Whoever takes one must hold the lock on what makes him the present attempt: then fences rise as attempts follow each
 * other. It is the last thing in its transaction, since all attempts pass this row.
 *
 * @param above a fence that was met in a store: the answer is higher.
 */
export async function nextFence(transaction: Transaction, above = 0): Promise<number> {
  const { rows } = await transaction.query<{ last: string }>(next, [above]);
  return Number(rows[0]?.last);
}
