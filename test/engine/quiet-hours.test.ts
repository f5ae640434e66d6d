import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { QuietHours, Weekday } from '../../packages/keystride/src/contract/policy.ts';
import {
  parseQuietHours,
  quietNow,
  wrongQuietHours,
} from '../../packages/keystride/src/contract/quiet-hours.ts';

const zones = [
  'UTC',
  'Asia/Seoul',
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'Asia/Kolkata',
];
const weekdays: Weekday[] = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

const time = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
  .map((parts) => parts.map((part) => String(part).padStart(2, '0')).join(':'));

const hours: fc.Arbitrary<QuietHours> = fc
  .record({
    from: time,
    to: fc.oneof(time, fc.constant('24:00')),
    days: fc.option(fc.subarray(weekdays, { minLength: 1 }), { nil: undefined }),
    timeZone: fc.constantFrom(...zones),
  })
  .map(({ days, ...rest }) => (days ? { ...rest, days } : rest));

/** Any minute of two years, with the nights in which clocks change more often than their share. */
const moment = fc
  .oneof(
    fc.integer({ min: 0, max: 2 * 366 * 24 * 60 }),
    fc
      .tuple(
        fc.constantFrom('2025-03-30', '2025-10-26', '2025-03-09', '2025-11-02', '2025-04-06', '2025-10-05'),
        fc.integer({ min: -24 * 60, max: 48 * 60 }),
      )
      .map(([day, minutes]) => (Date.parse(day) - Date.parse('2025-01-01')) / 60_000 + minutes),
  )
  .map((minutes) => new Date(Date.parse('2025-01-01') + minutes * 60_000));

/** What a clock on the wall shows, told by another formatter than the one under test. */
function onTheWall(at: Date, timeZone: string): { day: Weekday; time: string } {
  const shown = new Intl.DateTimeFormat('en-GB', {
    ...{ timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hour12: false },
  }).format(at);
  const [day = '', clock = ''] = shown.replace(',', '').split(' ');
  return { day: day as Weekday, time: clock.replace(/^24/u, '00') };
}

/** The rule in its own words: the wall shows a time in them, on a day of theirs or the night after it. */
function isQuiet({ from, to, days = weekdays, timeZone = 'UTC' }: QuietHours, at: Date): boolean {
  const { day, time: now } = onTheWall(at, timeZone);
  const before = weekdays[(weekdays.indexOf(day) + 6) % 7] as Weekday;
  if (from < to) return days.includes(day) && now >= from && now < to;
  return (days.includes(day) && now >= from) || (days.includes(before) && now < to);
}

test('it is quiet exactly when the clock on the wall shows a time in the hours, also where it is changed', () => {
  fc.assert(
    fc.property(fc.array(hours, { minLength: 1, maxLength: 3 }), moment, (all, at) => {
      expect(quietNow(all, at) !== null).toBe(all.some((one) => isQuiet(one, at)));
    }),
    { numRuns: 500 },
  );
});

test('the end is the first minute that is not quiet any more', () => {
  fc.assert(
    fc.property(hours, moment, fc.integer({ min: 0, max: 59_999 }), (one, minute, within) => {
      const at = new Date(minute.getTime() + within);
      const found = quietNow([one], at);
      if (!found) return;
      const { until } = found;
      if (!until) {
        expect(one.from === one.to || one.to === '24:00').toBe(true);
        return;
      }
      for (let next = minute.getTime(); next < until.getTime(); next += 60_000)
        if (!isQuiet(one, new Date(next))) expect.fail(`${new Date(next).toISOString()} is not quiet`);
      expect(isQuiet(one, until)).toBe(false);
    }),
    // Chance rarely finds hours that never end.
    { numRuns: 60, examples: [[{ from: '00:00', to: '24:00', timeZone: 'UTC' }, new Date('2025-01-01'), 0]] },
  );
});

test('a night in which the clocks change is quiet for as long as it lasts', () => {
  const night = [{ from: '22:00', to: '06:00', timeZone: 'Europe/Berlin' }];
  const lasting = (evening: string) =>
    ((quietNow(night, new Date(evening))?.until?.getTime() ?? 0) - Date.parse(evening)) / 3600_000;
  expect(lasting('2025-03-29T22:00:00+01:00')).toBe(7);
  expect(lasting('2025-10-25T22:00:00+02:00')).toBe(9);
  expect(lasting('2025-06-01T22:00:00+02:00')).toBe(8);
});

test('hours that follow one another are one wait, and hours that never end have no end', () => {
  const day = { from: '08:00', to: '20:00' };
  const now = new Date('2025-06-02T10:00:00Z');
  expect(quietNow([day, { from: '20:00', to: '22:00' }], now)?.until?.toISOString()).toBe(
    '2025-06-02T22:00:00.000Z',
  );
  expect(quietNow([day, { from: '20:00', to: '08:00' }], now)?.until).toBeNull();
});

test('are read from a text, and what is wrong with it is said', () => {
  expect(parseQuietHours('Mon-Wed,Fri 08:00-20:00 Asia/Seoul; 22:30-24:00')).toEqual([
    { from: '08:00', to: '20:00', days: ['Mon', 'Tue', 'Wed', 'Fri'], timeZone: 'Asia/Seoul' },
    { from: '22:30', to: '24:00' },
  ]);
  expect(parseQuietHours('Fri-Mon 08:00-09:00')).toMatchObject([{ days: ['Fri', 'Sat', 'Sun', 'Mon'] }]);
  expect(parseQuietHours('8-20')).toBe('is not like Mon-Fri 08:00-20:00 Asia/Seoul: 8-20');
  expect(parseQuietHours('Tun 08:00-09:00')).toMatch(/Tun is none of/u);
  expect(parseQuietHours('08:00-25:00')).toMatch(/25:00 is not a time/u);
  expect(parseQuietHours('08:00-09:00 Asia/Soul')).toMatch(/no time zone Asia\/Soul/u);
  expect(wrongQuietHours({ from: '24:00', to: '06:00' })).toMatch(/24:00/u);
});
