import { sql } from 'kysely';
import { failure, type ParametersOf } from 'keystride';
import type { Transaction } from 'keystride/postgres';
import type { pointSettlement } from '../../contract/point-settlement.ts';
import { target } from '../../tables.ts';

/** The day that an instance settles, and which settlement of it this is. */
export type Day = ParametersOf<typeof pointSettlement>;

/** The day an event belongs to, as the index has it. Days are those of UTC, whatever the session's time zone. */
export const dayOfEvent = sql<string>`(occurred_at AT TIME ZONE 'UTC')::date`;

/** The events that this settlement is about: those of the day that were there at its cut-off. */
export function eventsOf(day: Day) {
  return target
    .selectFrom('point_event')
    .where(dayOfEvent, '=', day.date)
    .where('point_event.id', '<=', cutOffOf(day).select('last_event_id'));
}

function cutOffOf({ date, rerun }: Day) {
  return target.selectFrom('point_cut_off').where('settlement_date', '=', date).where('rerun', '=', rerun);
}

/**
 * Keeps a rerun from replacing the day before this transaction has ended.
 *
 * @returns the id of the last event that belongs to it.
 * @throws StepFailed when one has replaced it already: what this execution would add belongs to nothing any more.
 */
export async function holdDay(transaction: Transaction, day: Day): Promise<string> {
  const [held] = await transaction.run(cutOffOf(day).select('last_event_id').forShare());
  if (held) return held.last_event_id;
  throw failure(
    'StepFailed',
    `the settlement of ${day.date} as rerun ${day.rerun} was replaced by a later rerun. Nothing of this chunk was ` +
      'written, and nothing is left to do: look at the instance of the later rerun.',
  );
}
