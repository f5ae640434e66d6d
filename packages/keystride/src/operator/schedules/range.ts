import { dayAfter, startOfDay } from '../../contract/date-expressions.ts';
import type { ListedInstance } from '../../ledger/instance-list.ts';
import { instancesNamed } from '../../ledger/instance-list.ts';
import type { Session } from '../connection.ts';
import { withLedger } from '../ledger.ts';
import { matchingTimes } from './clocks.ts';
import { asFound, inputOf, nextActions } from './read.ts';

/** Days in the time zone of a schedule, both included. */
export interface DayRange {
  readonly from: string;
  readonly to: string;
}

/** The times of a schedule between days. */
export interface TimesInRange {
  readonly timeZone: string;
  readonly after: Date;
  readonly until: Date;
  readonly times: readonly Date[];
}

/** What has come of one time of a schedule. */
export interface DayOutcome {
  /** ISO time. */
  readonly at: string;
  /** Null where it cannot be said. */
  readonly instance: string | null;
  /** As the ledger has the instance; null for one that has not run. */
  readonly status: ListedInstance['status'] | null;
  readonly workflowId: string | null;
}

/**
 * The times of a schedule between days, as Temporal takes them: the start is not included there, and the end is.
 * @throws CommandError when there is no such schedule
 */
export async function timesInRange(
  session: Session,
  scheduleId: string,
  timeZone: string,
  { from, to }: DayRange,
): Promise<TimesInRange> {
  const after = new Date(startOfDay(from, timeZone).getTime() - 1000);
  const until = new Date(startOfDay(dayAfter(to), timeZone).getTime() - 1000);
  const times = from > to ? [] : await matchingTimes(session, scheduleId, after, until);
  return { timeZone, after, until, times };
}

/**
 * What the runs of a schedule have come to between days: of each of its times the instance, and what the ledger has of it.
 * @param most times that are looked at, from the first
 */
export async function outcomesInRange(
  session: Session,
  scheduleId: string,
  range: DayRange,
  most: number,
): Promise<{ readonly outcomes: readonly DayOutcome[]; readonly times: number }> {
  const found = await asFound(scheduleId, () => session.client.schedule.getHandle(scheduleId).describe());
  const { times } = await timesInRange(session, scheduleId, found.spec.timezone || 'UTC', range);
  const actions = await nextActions(
    inputOf(found),
    times.slice(0, most),
    found.spec.jitter ?? 0,
    session.config,
  );
  const keys = actions.flatMap(({ instance }) => instance ?? []);
  const known = await withLedger((ledger) => instancesNamed(ledger, keys));
  return {
    times: times.length,
    outcomes: actions.map(({ at, instance }) => {
      const ran = instance === null ? undefined : known.get(instance);
      return { at, instance, status: ran?.status ?? null, workflowId: ran?.workflowId ?? null };
    }),
  };
}
