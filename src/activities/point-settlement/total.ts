import type { Logger } from '@temporalio/common';
import { sql } from 'kysely';
import { failure } from 'keystride';
import type { Transaction } from 'keystride/postgres';
import { target } from '../../tables.ts';
import { type Day, dayOfEvent, eventsOf, holdDay } from './day.ts';

/** The books of a day, closed. */
export interface DailyTotal {
  readonly accrued: number;
  readonly used: number;
  readonly expired: number;
  readonly members: number;
  /** Events of the day that came after its cut-off: they are in no figure until a rerun settles them. */
  readonly lateEvents: number;
}

/** Sums as the database renders them: compared as text, they cannot be rounded. */
interface Sums {
  readonly accrued: string;
  readonly used: string;
  readonly expired: string;
}

const columns = ['accrued', 'used', 'expired'] as const;

/**
 * Closes the books of a day: its totals are written when the members' sums are those of the events.
 *
 * @throws BooksDoNotBalance with the figures, and nothing is written.
 */
export async function total(transaction: Transaction, day: Day, log: Logger): Promise<DailyTotal> {
  const lastEventId = await holdDay(transaction, day);
  const events = await sumEvents(transaction, day);
  const { members, ...settled } = await sumSettlements(transaction, day);
  refuseDifferences(day, events, settled);
  await transaction.run(
    target.insertInto('point_daily_total').values({ settlement_date: day.date, ...settled, members }),
  );
  const lateEvents = await countLateEvents(transaction, day, lastEventId);
  if (lateEvents > 0) log.warn('events came late for the day that is being settled', { ...day, lateEvents });
  return {
    accrued: Number(settled.accrued),
    used: Number(settled.used),
    expired: Number(settled.expired),
    members: Number(members),
    lateEvents,
  };
}

async function sumEvents(transaction: Transaction, day: Day): Promise<Sums> {
  const sumOf = (type: string) => sql<string>`coalesce(sum(amount) FILTER (WHERE type = ${type}), 0)::text`;
  const [sums] = await transaction.run(
    eventsOf(day).select([
      sumOf('ACCRUE').as('accrued'),
      sumOf('USE').as('used'),
      sumOf('EXPIRE').as('expired'),
    ]),
  );
  return sums as Sums;
}

async function sumSettlements(
  transaction: Transaction,
  { date }: Day,
): Promise<Sums & { readonly members: string }> {
  const sumOf = (column: keyof Sums) => sql<string>`coalesce(sum(${sql.ref(column)}), 0)::text`.as(column);
  const [sums] = await transaction.run(
    target
      .selectFrom('point_settlement')
      .where('settlement_date', '=', date)
      .select(({ fn }) => [...columns.map(sumOf), fn.countAll<string>().as('members')]),
  );
  return sums as Sums & { members: string };
}

function refuseDifferences({ date, rerun }: Day, events: Sums, settled: Sums): void {
  const differing = columns.filter((column) => events[column] !== settled[column]);
  if (differing.length === 0) return;
  const figures = differing.map((column) => `${column} ${settled[column]}, by its events ${events[column]}`);
  throw failure(
    'BooksDoNotBalance',
    `the settlements of ${date} differ from its events: ${figures.join('; ')}. point_daily_total was not written. ` +
      'Somebody has changed point_settlement or point_event since: put it right and start this instance again, or ' +
      `settle the day anew with rerun ${rerun + 1}.`,
  );
}

async function countLateEvents(
  transaction: Transaction,
  { date }: Day,
  lastEventId: string,
): Promise<number> {
  const [late] = await transaction.run(
    target
      .selectFrom('point_event')
      .where(dayOfEvent, '=', date)
      .where('id', '>', lastEventId)
      .select(({ fn }) => fn.countAll<string>().as('events')),
  );
  return Number(late?.events);
}
