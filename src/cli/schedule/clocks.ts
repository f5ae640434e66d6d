import { msToTs } from '@temporalio/common/lib/time.js';
import type { Session } from '../connection.ts';
import { asFound, localTime } from './read.ts';

const day = 86_400_000;

/**
 * Days of the coming year whose action is lost because the clocks jump over it: at 02:00 in Berlin there is none on the
 * last Sunday of March. Temporal matches the clock on the wall, and an hour that does not exist matches nothing.
 * An hour that comes twice is no trouble: however often it matches, it is one date, and one instance.
 */
export async function lostToClocks(
  session: Session,
  scheduleId: string,
  timeZone: string,
): Promise<string[]> {
  const warnings: string[] = [];
  for (const jump of jumpsAhead(timeZone, Date.now(), 366)) {
    // The same weekday a week before has the same times, and an ordinary clock.
    const usual = await matchingTimes(
      session,
      scheduleId,
      new Date(jump.from - 7 * day),
      new Date(jump.until - 7 * day),
    );
    const then = await matchingTimes(session, scheduleId, new Date(jump.from), new Date(jump.until));
    const [lost] = usual;
    // A schedule of every hour or so loses one of many.
    if (lost === undefined || then.length >= usual.length || usual.length > 3) continue;
    const date = localTime(new Date(lost.getTime() + 7 * day).toISOString(), timeZone).slice(0, 10);
    warnings.push(
      `on ${date} the clocks of ${timeZone} jump over the time of this schedule: there is no action that day. ` +
        `Choose another hour, or start the job by hand.`,
    );
  }
  return warnings;
}

interface Jump {
  /** Twelve hours before and after the change, in milliseconds. */
  readonly from: number;
  readonly until: number;
}

/** The changes of the clocks to a later time within so many days. */
function jumpsAhead(timeZone: string, since: number, days: number): Jump[] {
  const clock = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    hour: 'numeric',
    minute: 'numeric',
  });
  const minutesOfDay = (at: number): number => {
    const part = (type: string) =>
      Number(clock.formatToParts(at).find((one) => one.type === type)?.value ?? 0);
    return part('hour') * 60 + part('minute');
  };
  const jumps: Jump[] = [];
  for (let at = since; at < since + days * day; at += day) {
    // A day later the clock shows the same time, unless it was set meanwhile.
    const moved = (minutesOfDay(at + day) - minutesOfDay(at) + 24 * 60) % (24 * 60);
    if (moved > 0 && moved <= 12 * 60) jumps.push({ from: at, until: at + day });
  }
  return jumps;
}

/**
 * When the schedule's specification matches, from `after` (not included) to `until`.
 * @throws CommandError when there is no such schedule
 */
export async function matchingTimes(
  { client, config }: Session,
  scheduleId: string,
  after: Date,
  until: Date,
): Promise<Date[]> {
  const { startTime } = await asFound(scheduleId, () =>
    client.workflowService.listScheduleMatchingTimes({
      namespace: config.temporal.namespace,
      scheduleId,
      startTime: msToTs(after.getTime()),
      endTime: msToTs(until.getTime()),
    }),
  );
  return startTime.map(({ seconds }) => new Date(Number(seconds ?? 0) * 1000));
}
