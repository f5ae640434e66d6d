import type { QuietHours, Weekday } from './policy.ts';

/**
 * Quiet hours go by the clock on the wall of their time zone: whenever it shows a time within them, it is quiet. Where
 * the clocks change they are an hour shorter or longer, as the night is.
 */

const weekdays: readonly Weekday[] = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

const minute = 60_000;

/** Beyond a week the same hours come again. */
const furthestMs = 8 * 24 * 60 * minute;

const clock = /^(?:([01]\d|2[0-3]):([0-5]\d)|24:00)$/u;

/** Quiet hours that have begun. */
export interface Quiet {
  /** As people write them: `Mon-Fri 08:00-20:00 Asia/Seoul`. */
  readonly hours: string;
  /** The first moment after which nothing is quiet; null when there is none within a week. */
  readonly until: Date | null;
}

/** Whether it is quiet now, and for how long; null when it is not. */
export function quietNow(all: readonly QuietHours[], now: Date): Quiet | null {
  const first = all.find((hours) => minutesLeft(hours, now.getTime()) > 0);
  if (!first) return null;
  const end = now.getTime() + furthestMs;
  let at = now.getTime();
  while (at < end) {
    const left = Math.max(...all.map((hours) => minutesLeft(hours, at)));
    if (left <= 0) return { hours: writtenHours(first), until: new Date(at) };
    // A clock that is changed on the way reaches the end at another time: then it is watched minute by minute.
    const changes = all.some((hours) => offsetOf(hours, at) !== offsetOf(hours, at + left * minute));
    at = Math.floor(at / minute) * minute + (changes ? 1 : left) * minute;
  }
  return { hours: writtenHours(first), until: null };
}

/** What is wrong with quiet hours, in words; undefined when nothing is. */
export function wrongQuietHours({ from, to, days, timeZone }: QuietHours): string | undefined {
  for (const time of [from, to]) if (!clock.test(time)) return `${time} is not a time like 08:00`;
  if (from === '24:00') return 'what begins at 24:00 begins at 00:00 of the next day';
  const unknown = days?.find((day) => !weekdays.includes(day));
  if (unknown !== undefined) return `${unknown} is none of ${weekdays.join(', ')}`;
  if (days?.length === 0) return 'there is no day in it';
  try {
    wallClock(timeZone);
  } catch {
    return `there is no time zone ${timeZone}; give an IANA name such as Asia/Seoul`;
  }
  return undefined;
}

const written = /^(?:([A-Z][\w,-]*)\s+)?(\d\d:\d\d)-(\d\d:\d\d)(?:\s+(\S+))?$/u;

/**
 * Reads quiet hours from a text: `Mon-Fri 08:00-20:00 Asia/Seoul; Sat,Sun 10:00-12:00 Asia/Seoul`.
 *
 * @returns what is wrong with it, in words, where something is.
 */
export function parseQuietHours(text: string): readonly QuietHours[] | string {
  const all: QuietHours[] = [];
  for (const part of text.split(';').map((piece) => piece.trim())) {
    const [, days, from, to, timeZone] = written.exec(part) ?? [];
    if (from === undefined || to === undefined) return `is not like Mon-Fri 08:00-20:00 Asia/Seoul: ${part}`;
    const hours = {
      ...{ from, to },
      ...(days === undefined ? {} : { days: days.split(',').flatMap(daysOf) }),
      ...(timeZone === undefined ? {} : { timeZone }),
    };
    const wrong = wrongQuietHours(hours);
    if (wrong !== undefined) return `is not understood: ${wrong}: ${part}`;
    all.push(hours);
  }
  return all;
}

/** `Fri-Mon` is four days. What is no weekday stays as it is, for whoever checks. */
function daysOf(range: string): Weekday[] {
  const [first, last = first] = range.split('-') as [Weekday, Weekday?];
  const begin = weekdays.indexOf(first);
  const end = weekdays.indexOf(last);
  if (begin < 0 || end < 0) return [range as Weekday];
  const count = ((end - begin + 7) % 7) + 1;
  return Array.from({ length: count }, (_, index) => weekdays[(begin + index) % 7] as Weekday);
}

function writtenHours({ from, to, days, timeZone = 'UTC' }: QuietHours): string {
  return `${days ? `${days.join(',')} ` : ''}${from}-${to} ${timeZone}`;
}

/** Minutes that these hours still last by the clock as it goes; 0 when they are not now. */
function minutesLeft({ from, to, days = weekdays, timeZone }: QuietHours, at: number): number {
  const { day, minutes } = wallTime(timeZone, at);
  const [begin, end] = [minutesOf(from), minutesOf(to)];
  const today = days.includes(weekdays[day] as Weekday);
  const yesterday = days.includes(weekdays[(day + 6) % 7] as Weekday);
  if (begin < end) return today && minutes >= begin ? Math.max(0, end - minutes) : 0;
  if (today && minutes >= begin) return end + 24 * 60 - minutes;
  return yesterday ? Math.max(0, end - minutes) : 0;
}

function minutesOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}

/** How far the wall's clock is from that of UTC, in minutes of the week. */
function offsetOf({ timeZone }: QuietHours, at: number): number {
  const [wall, utc] = [wallTime(timeZone, at), wallTime('UTC', at)];
  return (wall.day * 24 * 60 + wall.minutes - utc.day * 24 * 60 - utc.minutes + 7 * 24 * 60) % (7 * 24 * 60);
}

function wallTime(timeZone: string | undefined, at: number): { day: number; minutes: number } {
  const parts = wallClock(timeZone).formatToParts(at);
  const part = (type: string) => parts.find((one) => one.type === type)?.value ?? '';
  return {
    day: weekdays.indexOf(part('weekday') as Weekday),
    minutes: Number(part('hour')) * 60 + Number(part('minute')),
  };
}

const wallClocks = new Map<string, Intl.DateTimeFormat>();

function wallClock(timeZone = 'UTC'): Intl.DateTimeFormat {
  const known = wallClocks.get(timeZone);
  if (known) return known;
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  wallClocks.set(timeZone, made);
  return made;
}
