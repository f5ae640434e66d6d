import { plain } from '../format.ts';
import { CommandError, exitCodes } from '../command-error.ts';

/**
 * What a cron expression would be taken for, before Temporal takes it: Temporal accepts more than people write, and reads
 * some of it otherwise than cron, Spring or Quartz do.
 */

const shorthands = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];

/**
 * Refuses what is no time of every year, or is meant for another scheduler.
 *
 * @throws CommandError of type ScheduleInvalid
 */
export function checkCron(cron: string): void {
  const text = cron.trim();
  if (/^(CRON_)?TZ=/u.test(text))
    throw refused(cron, 'names a time zone of its own', 'Give it with --timezone: dates follow that one.');
  if (text.startsWith('@')) return checkShorthand(cron, text);
  const fields = text.split(/\s+/u);
  if (fields.length === 6 || fields.length === 7) throw tooManyFields(cron, fields);
  if (fields.length !== 5)
    throw refused(
      cron,
      `has ${text === '' ? 0 : fields.length} fields, not five`,
      'They are minute, hour, day of the month, month and weekday: "0 2 * * *" is 02:00 every day.',
    );
  const foreign = fields.find((field) => /[?#]|\d*[LW]$/u.test(field));
  if (foreign !== undefined)
    throw refused(
      cron,
      `holds ${plain(foreign)}, which Quartz and Spring know and Temporal does not`,
      'Write * for ?. For the last day of a month or the second Monday, run it daily and let the job look at the date.',
    );
  if (!meansADay(fields))
    throw refused(
      cron,
      'names no day that there is',
      'No month that it names has such a day; correct the third or the fourth field.',
    );
}

function checkShorthand(cron: string, text: string): void {
  if (shorthands.includes(text) || /^@every \S/u.test(text)) return;
  throw refused(
    cron,
    'is no word that Temporal knows',
    `There are ${shorthands.join(', ')}, and @every 90m for intervals.`,
  );
}

function tooManyFields(cron: string, fields: readonly string[]): CommandError {
  const five = fields.slice(1, 6).map((field) => (field === '?' ? '*' : field));
  const seconds =
    fields.length === 6 ? 'the first is the second' : 'the first is the second, the last the year';
  return refused(
    cron,
    `has ${fields.length} fields: Spring and Quartz write so (${seconds}), Temporal takes ${
      fields.length === 6 ? 'the last one for a year and reads the others from the minute on' : 'them so too'
    }`,
    `Give five: minute, hour, day of the month, month, weekday. Without its seconds that is --cron "${five.join(' ')}".`,
  );
}

function refused(cron: string, why: string, todo: string): CommandError {
  return new CommandError(
    { what: `--cron "${plain(cron)}" ${why}`, todo },
    { exitCode: exitCodes.usage, type: 'ScheduleInvalid' },
  );
}

/** What may surprise whoever has written this. */
export function surprisesOf(cron: string): string[] {
  const text = cron.trim();
  if (text.startsWith('@every'))
    return [`${text}: intervals are counted from 1970-01-01T00:00:00Z, in no time zone`];
  const fields = text.split(/\s+/u);
  if (fields.length !== 5) return [];
  return [...bothDays(fields), ...unevenSteps(fields), ...shortMonths(fields)].map(
    (surprise) => `"${text}": ${surprise}`,
  );
}

/** Cron takes either of them, Temporal both. */
function bothDays([, , day = '*', , weekday = '*']: readonly string[]): string[] {
  if (/^\*(\/1)?$/u.test(day) || /^\*(\/1)?$/u.test(weekday)) return [];
  return ['it runs on days that are both, by date and by weekday; cron would run on either'];
}

const stepped = [
  { unit: 'minute', size: 60, within: 'hour' },
  { unit: 'hour', size: 24, within: 'day' },
  { unit: 'day', size: 0, within: 'month' },
] as const;

/** `*` with a step that does not divide what it steps through begins anew each time. */
function unevenSteps(fields: readonly string[]): string[] {
  return stepped.flatMap(({ unit, size, within }, index) => {
    const step = Number(/^(?:\*|0|1)\/(\d+)$/u.exec(fields[index] ?? '')?.[1] ?? 1);
    if (step === 1 || (size > 0 && size % step === 0)) return [];
    return [`every ${step} ${unit}s begins anew each ${within}; for equal distances give --cron "@every …"`];
  });
}

/** Days that not every month has. */
function shortMonths([, , day = '*', month = '*']: readonly string[]): string[] {
  const days = valuesOf(day, 1, 31);
  const months = valuesOf(month, 1, 12, monthNames);
  const first = Math.min(...(days ?? []));
  if (days === undefined || months === undefined || first <= 28) return [];
  const without = months.filter((one) => first > daysIn(one));
  const leap = months.includes(2) && first === 29;
  return [
    ...(without.length > 0 ? [`it does not run in months without day ${first}`] : []),
    ...(leap ? ['in February it runs in leap years alone'] : []),
  ];
}

/** Of a leap year. */
function daysIn(month: number): number {
  return new Date(Date.UTC(2024, month, 0)).getUTCDate();
}

const monthNames = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const weekdayNames = 'sun mon tue wed thu fri sat'.split(' ');

/** The calendar says the same again after so many years. */
const calendarYears = 400;

/** Whether the last three fields mean a day that there is; true for what cannot be read here: Temporal will refuse it. */
function meansADay([, , day = '', month = '', weekday = '']: readonly string[]): boolean {
  const days = valuesOf(day, 1, 31);
  const months = valuesOf(month, 1, 12, monthNames);
  const weekdays = valuesOf(weekday, 0, 7, weekdayNames)?.map((one) => one % 7);
  if (days === undefined || months === undefined || weekdays === undefined) return true;
  const from = new Date().getUTCFullYear();
  for (let at = Date.UTC(from, 0, 1); at < Date.UTC(from + calendarYears, 0, 1); at += 86_400_000) {
    const date = new Date(at);
    if (!months.includes(date.getUTCMonth() + 1) || !days.includes(date.getUTCDate())) continue;
    if (weekdays.includes(date.getUTCDay())) return true;
  }
  return false;
}

/** `1-5`, `*` with a step, `mon,wed`: the numbers that a field means; undefined where it cannot be read. */
function valuesOf(
  field: string,
  least: number,
  most: number,
  names: readonly string[] = [],
): number[] | undefined {
  const numberOf = (text: string) => {
    const named = names.indexOf(text.slice(0, 3).toLowerCase());
    return /^\d+$/u.test(text) ? Number(text) : named < 0 ? Number.NaN : named + least;
  };
  const values = new Set<number>();
  for (const part of field.split(',')) {
    const [, range = '', step] = /^([^/]+)(?:\/(\d+))?$/u.exec(part) ?? [];
    const [first = '', last] = range.split('-');
    const from = range === '*' ? least : numberOf(first);
    const open = last === undefined && step !== undefined;
    const to = range === '*' || open ? most : numberOf(last ?? first);
    if (!(from >= least && to <= most && from <= to) || step === '0') return undefined;
    for (let at = from; at <= to; at += Number(step ?? 1)) values.add(at);
  }
  return [...values];
}
