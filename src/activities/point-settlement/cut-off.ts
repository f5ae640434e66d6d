import type { Logger } from '@temporalio/common';
import { sql } from 'kysely';
import { failure } from 'keystride';
import { type Transaction, writersEnded } from 'keystride/postgres';
import { target } from '../../tables.ts';
import { type Day, dayOfEvent } from './day.ts';

/** How long an attempt waits for events that are being inserted, in milliseconds. */
const writersMs = 30_000;

/** Events that came after the cut-off of their day. */
export interface LateEvents {
  readonly date: string;
  readonly events: number;
  readonly accrued: number;
  readonly used: number;
  readonly expired: number;
  /** Whether this very settlement takes them in, as a rerun of their day. */
  readonly settledNow: boolean;
}

export interface CutOff {
  readonly lastEventId: string;
  /** What has come since the cut-off before this one, for days that were settled already. Told once. */
  readonly lateEvents: readonly LateEvents[];
}

/**
 * Decides which events belong to the settlement: those that are there now. A rerun takes the day over from the
 * settlement before, whose figures go in the same moment.
 *
 * @throws JobParametersInvalid when a later rerun has settled the day; Unavailable while an insert stays open.
 */
export async function cutOff(transaction: Transaction, day: Day, log: Logger): Promise<CutOff> {
  // One cut-off at a time: each looks for late events where the one before has stopped looking.
  await transaction.query('LOCK TABLE point_cut_off IN SHARE ROW EXCLUSIVE MODE');
  const lastEventId = await lastEvent(transaction);
  const lateEvents = await findLateEvents(transaction, day, lastEventId);
  await takeDay(transaction, day, lastEventId);
  for (const late of lateEvents) {
    if (!late.settledNow) log.warn('events came late for a day that is settled', { ...late });
  }
  return { lastEventId, lateEvents };
}

/** The highest id below which every event is there: ids are handed out before their transactions commit. */
async function lastEvent(transaction: Transaction): Promise<string> {
  const [last] = await transaction.run(
    target.selectFrom('point_event').select(sql<string>`coalesce(max(id), 0)`.as('id')),
  );
  if (await writersEnded(transaction, 'point_event', writersMs)) return (last as { id: string }).id;
  throw failure(
    'Unavailable',
    `a transaction that writes to point_event has been open for more than ${writersMs / 1000} s: its events may ` +
      'belong to the day. It is waited for; see pg_locks for who it is.',
    { retryable: true },
  );
}

async function takeDay(transaction: Transaction, { date, rerun }: Day, lastEventId: string): Promise<void> {
  const taken = await transaction.run(
    target
      .insertInto('point_cut_off')
      .values({ settlement_date: date, rerun, last_event_id: lastEventId })
      .onConflict((conflict) =>
        conflict
          .column('settlement_date')
          .doUpdateSet({ rerun, last_event_id: lastEventId, cut_off_at: sql<string>`now()` })
          .where('point_cut_off.rerun', '<', rerun),
      )
      .returning('rerun'),
  );
  if (taken.length === 0) {
    throw failure(
      'JobParametersInvalid',
      `${date} was settled under a rerun number that is not below ${rerun}. Nothing was written. To settle it once ` +
        'more, start it with a higher rerun than any before.',
    );
  }
  await transaction.run(target.deleteFrom('point_settlement').where('settlement_date', '=', date));
  await transaction.run(target.deleteFrom('point_daily_total').where('settlement_date', '=', date));
}

/** Late events of other days among those that no cut-off has seen yet; and, in a rerun, all those of its own day. */
async function findLateEvents(
  transaction: Transaction,
  { date }: Day,
  lastEventId: string,
): Promise<LateEvents[]> {
  const late = lateEventsUpTo(lastEventId);
  const lastSeen = target
    .selectFrom('point_cut_off')
    .select(({ fn }) => fn.max('last_event_id').as('last_event_id'));
  const ofOthers = await transaction.run(
    late.where('settlement_date', '<>', date).where('point_event.id', '>', lastSeen),
  );
  const ofItsOwn = await transaction.run(late.where(dayOfEvent, '=', date));
  return [...ofOthers, ...ofItsOwn].map((row) => ({
    date: row.settlement_date,
    events: Number(row.events),
    accrued: Number(row.accrued),
    used: Number(row.used),
    expired: Number(row.expired),
    settledNow: row.settlement_date === date,
  }));
}

function lateEventsUpTo(lastEventId: string) {
  const sumOf = (type: string) => sql<string>`coalesce(sum(amount) FILTER (WHERE type = ${type}), 0)`;
  return target
    .selectFrom('point_event')
    .innerJoin('point_cut_off', (join) => join.on('settlement_date', '=', dayOfEvent))
    .whereRef('point_event.id', '>', 'last_event_id')
    .where('point_event.id', '<=', lastEventId)
    .groupBy('settlement_date')
    .orderBy('settlement_date')
    .select(({ fn }) => [
      'settlement_date',
      fn.countAll<string>().as('events'),
      sumOf('ACCRUE').as('accrued'),
      sumOf('USE').as('used'),
      sumOf('EXPIRE').as('expired'),
    ]);
}
