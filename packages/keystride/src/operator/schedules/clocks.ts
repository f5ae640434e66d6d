import { msToTs } from '@temporalio/common/lib/time.js';
import type { Session } from '../connection.ts';
import { asFound, localTime } from './read.ts';

const day = 86_400_000;

/**
 * Days of the coming year whose action is lost because the clocks jump over it: at 02:30 in Berlin there is none on the
 * last Sunday of March. Temporal matches the clock on the wall, and an hour that does not exist matches nothing; of an
 * hour that comes twice it takes the first.
 */
export async function lostToClocks(
  session: Session,
  scheduleId: string,
  timeZone: string,
): Promise<string[]> {
  const warnings: string[] = [];
  for (const jump of jumpsAhead(timeZone, Date.now(), 366)) {
    const from = jump.at - day / 2;
    // The same weekday a week before has the same times, and an ordinary clock.
    const [after, until] = [new Date(from - 7 * day), new Date(from - 6 * day)];
    const usual = await matchingTimes(session, scheduleId, after, until);
    // A day of the clock on the wall, which is a shorter one.
    const end = new Date(from + day - jump.minutes * 60_000);
    const then = await matchingTimes(session, scheduleId, new Date(from), end);
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
  /** The moment, in milliseconds. */
  readonly at: number;
  /** How far the clocks are set forward. */
  readonly minutes: number;
}

/** The changes of the clocks to a later time within so many days. */
function jumpsAhead(timeZone: string, since: number, days: number): Jump[] {
  const clock = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    hour: 'numeric',
    minute: 'numeric',
  });
  /** What the clock shows, less what UTC shows, in minutes of a day. */
  const ahead = (at: number): number => {
    const part = (type: string) =>
      Number(clock.formatToParts(at).find((one) => one.type === type)?.value ?? 0);
    return modulo(part('hour') * 60 + part('minute') - Math.floor(at / 60_000), 24 * 60);
  };
  const jumps: Jump[] = [];
  for (let at = since; at < since + days * day; at += day) {
    const minutes = modulo(ahead(at + day) - ahead(at), 24 * 60);
    if (minutes === 0 || minutes > 12 * 60) continue;
    let [before, after] = [at, at + day];
    while (after - before > 60_000) {
      const middle = (before + after) / 2;
      if (ahead(middle) === ahead(at)) before = middle;
      else after = middle;
    }
    jumps.push({ at: after, minutes });
  }
  return jumps;
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
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
