import { failure } from '../contract/errors.ts';
import type { Retention } from '../contract/retention.ts';
import type { Ledger } from './ledger.ts';

/** What is kept, with the moment by which ages are told, as text of the database. */
export interface DatedRetention extends Retention {
  readonly now: string;
}

/** Clocks that are farther apart leave nobody to say how old anything is, in milliseconds. */
const mostApart = 5 * 60_000;

/**
 * A retention with the ledger's present moment, which is asked once: a clock that jumps ahead makes everything old, and
 * what was deleted for it does not come back.
 *
 * @param clock what this process takes for now, in milliseconds.
 * @throws ClocksApart where the two differ by more than five minutes.
 */
export async function datedRetention(
  ledger: Ledger,
  retention: Retention,
  clock: () => number,
): Promise<DatedRetention> {
  const before = clock();
  const { now, at } = await ledger.transaction(async (transaction) => {
    const { rows } = await transaction.query<{ now: string; at: number }>(
      'SELECT now()::text AS now, (extract(epoch FROM now()) * 1000)::float8 AS at',
    );
    return rows[0] ?? { now: '-infinity', at: 0 };
  });
  // It was asked somewhere between the two.
  const ahead = Math.max(0, at - clock());
  const behind = Math.max(0, before - at);
  if (Math.max(ahead, behind) <= mostApart) return { ...retention, now };
  const minutes = Math.round(Math.max(ahead, behind) / 60_000);
  throw failure(
    'ClocksApart',
    `the clock of the ledger is ${minutes} minutes ${ahead > 0 ? 'ahead of' : 'behind'} this machine's, so nobody knows how old ` +
      'anything is: nothing was pruned. Let both follow the same time servers (NTP), and prune again.',
  );
}

/** What an attempt may wait for a worker; the clock of one that has waited longer is not held against the ledger's. */
const longestWait = 24 * 3_600_000;

/**
 * The clock of this process, unless it is ahead of Temporal's: it may be the one of the ledger's machine, with which it
 * has jumped.
 *
 * @param scheduled when Temporal gave out this attempt, by its own clock, in milliseconds.
 * @throws ClocksApart
 */
export function refuseAheadOf(scheduled: number, now: number): void {
  if (now - scheduled <= longestWait && scheduled - now <= mostApart) return;
  throw failure(
    'ClocksApart',
    `the clock of this worker is ${Math.round(Math.abs(now - scheduled) / 60_000)} minutes ${now > scheduled ? 'ahead of' : 'behind'} ` +
      "Temporal's: nothing was pruned. Let both follow the same time servers (NTP), and prune again.",
  );
}
