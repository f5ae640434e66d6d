import { failure } from './errors.ts';

/**
 * Dates that a schedule computes: `{{scheduled}}`, `{{scheduled-1d}}`, `{{scheduled-1month:yyyy-MM}}`.
 *
 * A business date belongs to the time for which an action was scheduled, in the schedule's time zone. The clock of
 * whoever runs it late (after an outage, in a backfill) never comes into it. The arithmetic is that of the calendar: a
 * day back is the day before, also where the clocks have changed in between and a day has 23 or 25 hours.
 */

/** What an expression is resolved with. */
export interface ScheduledMoment {
  /** For when the action was scheduled, jitter not included. */
  readonly scheduledAt: Date;
  /** IANA name, `Asia/Seoul`. */
  readonly timeZone: string;
}

const expressions = /\{\{(.*?)\}\}/gu;
const grammar = /^scheduled(?:([+-])(\d{1,5})(d|w|month|y))?(?::(.+))?$/u;
const examples = '{{scheduled}}, {{scheduled-1d}}, {{scheduled+2w}}, {{scheduled-1month:yyyy-MM}}';

/** Whether a value holds an expression, or what is meant as one. */
export function holdsExpression(value: unknown): value is string {
  return typeof value === 'string' && value.includes('{{');
}

/**
 * A text with its expressions resolved; what is around them stays.
 *
 * @throws JobParametersInvalid for an expression that is none, and for a time zone that nobody knows.
 */
export function resolveExpressions(text: string, moment: ScheduledMoment): string {
  const resolved = text.replaceAll(expressions, (_, expression: string) =>
    resolve(expression.trim(), moment),
  );
  if (/\{\{|\}\}/u.test(resolved)) throw invalid(text, 'its braces do not match');
  return resolved;
}

function resolve(expression: string, moment: ScheduledMoment): string {
  const [, sign, count, unit, format = 'yyyy-MM-dd'] = grammar.exec(expression) ?? [];
  if (!grammar.test(expression)) throw invalid(`{{${expression}}}`, 'it is no date expression');
  if (format === 'iso' || format === 'epoch') {
    if (unit !== undefined) throw invalid(`{{${expression}}}`, `${format} is the scheduled time itself`);
    return instantAs(format, moment.scheduledAt);
  }
  const date = localDate(moment.scheduledAt, moment.timeZone);
  return formatted(unit === undefined ? date : moved(date, Number(`${sign}${count}`), unit), format);
}

/** A day of the calendar, whatever the time zone. */
interface CalendarDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

function instantAs(format: 'iso' | 'epoch', at: Date): string {
  const seconds = Math.floor(at.getTime() / 1000);
  return format === 'epoch' ? String(seconds) : new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

/** The day that a calendar on the wall shows at this moment in this time zone. */
function localDate(at: Date, timeZone: string): CalendarDate {
  const parts = dateFormat(timeZone).formatToParts(at);
  const part = (type: string) => Number(parts.find((one) => one.type === type)?.value);
  return { year: part('year'), month: part('month'), day: part('day') };
}

function dateFormat(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
    });
  } catch {
    throw failure(
      'JobParametersInvalid',
      `there is no time zone ${timeZone}; give an IANA name such as Asia/Seoul, Europe/Berlin or UTC.`,
    );
  }
}

/** A month or a year from the 31st is the last day of a shorter month. */
function moved({ year, month, day }: CalendarDate, count: number, unit: string): CalendarDate {
  if (unit === 'd' || unit === 'w')
    return ofUtc(Date.UTC(year, month - 1, day + count * (unit === 'w' ? 7 : 1)));
  const first = ofUtc(Date.UTC(year, month - 1 + count * (unit === 'y' ? 12 : 1), 1));
  const last = ofUtc(Date.UTC(first.year, first.month, 0));
  return { ...first, day: Math.min(day, last.day) };
}

function ofUtc(milliseconds: number): CalendarDate {
  const date = new Date(milliseconds);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}

function formatted({ year, month, day }: CalendarDate, format: string): string {
  if (!/^[\s\-_/.]*((yyyy|MM|dd)[\s\-_/.]*)+$/u.test(format))
    throw invalid(`:${format}`, 'a format is made of yyyy, MM and dd, or is iso or epoch');
  return format
    .replaceAll('yyyy', String(year).padStart(4, '0'))
    .replaceAll('MM', String(month).padStart(2, '0'))
    .replaceAll('dd', String(day).padStart(2, '0'));
}

/**
 * When a day begins in a time zone: its first second there, which is not always midnight.
 *
 * @param date `2025-10-01`
 * @throws JobParametersInvalid
 */
export function startOfDay(date: string, timeZone: string): Date {
  const midnight = Date.parse(`${date}T00:00:00Z`);
  if (!/^\d{4}-\d\d-\d\d$/u.test(date) || Number.isNaN(midnight) || dayOf(midnight, 'UTC') !== date)
    throw invalid(date, 'a date is written like 2025-10-01');
  // No place on earth is further from UTC; in between, the day on the wall only ever moves on.
  let before = midnight / 1000 - 15 * 3600;
  let reached = midnight / 1000 + 15 * 3600;
  while (reached - before > 1) {
    const middle = Math.floor((before + reached) / 2);
    if (dayOf(middle * 1000, timeZone) < date) before = middle;
    else reached = middle;
  }
  return new Date(reached * 1000);
}

function dayOf(milliseconds: number, timeZone: string): string {
  return formatted(localDate(new Date(milliseconds), timeZone), 'yyyy-MM-dd');
}

/** The day after, in the calendar. @param date `2025-10-01` */
export function dayAfter(date: string): string {
  return dayOf(Date.parse(`${date}T00:00:00Z`) + 24 * 3600_000, 'UTC');
}

function invalid(what: string, why: string) {
  return failure('JobParametersInvalid', `${what}: ${why}. Examples: ${examples}.`);
}
