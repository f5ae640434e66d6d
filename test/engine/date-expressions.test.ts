import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  dayAfter,
  resolveExpressions,
  startOfDay,
} from '../../packages/keystride/src/contract/date-expressions.ts';

function resolved(text: string, at: string, timeZone = 'UTC'): string {
  return resolveExpressions(text, { scheduledAt: new Date(at), timeZone });
}

describe('a date expression', () => {
  test.each([
    ['{{scheduled}}', '2025-10-01'],
    ['{{scheduled-1d}}', '2025-09-30'],
    ['{{scheduled+2d}}', '2025-10-03'],
    ['{{scheduled-1w}}', '2025-09-24'],
    ['{{scheduled-1month}}', '2025-09-01'],
    ['{{scheduled-1y}}', '2024-10-01'],
    ['{{ scheduled-1d }}', '2025-09-30'],
    ['{{scheduled-1month:yyyy-MM}}', '2025-09'],
    ['{{scheduled:yyyyMMdd}}', '20251001'],
    ['{{scheduled:iso}}', '2025-10-01T12:00:00Z'],
    ['{{scheduled:epoch}}', '1759320000'],
    ['from {{scheduled-1d}} to {{scheduled}}', 'from 2025-09-30 to 2025-10-01'],
    ['2025-10-01', '2025-10-01'],
  ])('%s, at noon of 2025-10-01, is %s', (text, expected) => {
    expect(resolved(text, '2025-10-01T12:00:00Z')).toBe(expected);
  });

  test('from the last of a long month stays within a short one', () => {
    expect(resolved('{{scheduled-1month}}', '2026-03-31T00:00:00Z')).toBe('2026-02-28');
    expect(resolved('{{scheduled+1month}}', '2028-01-30T00:00:00Z')).toBe('2028-02-29');
    expect(resolved('{{scheduled+1y}}', '2028-02-29T00:00:00Z')).toBe('2029-02-28');
  });

  test.each([
    '{{yesterday}}',
    '{{scheduled-1}}',
    '{{scheduled-d}}',
    '{{scheduled-1h}}',
    '{{scheduled:HH}}',
    '{{scheduled:epoch',
    'scheduled}}',
    '{{scheduled-1d:epoch}}',
    '{{}}',
  ])('%s is refused, with examples', (text) => {
    expect(() => resolved(text, '2025-10-01T12:00:00Z')).toThrow(/Examples: \{\{scheduled\}\}/u);
  });

  test('an unknown time zone is refused by name', () => {
    expect(() => resolved('{{scheduled}}', '2025-10-01T12:00:00Z', 'Asia/Seul')).toThrow(
      'there is no time zone Asia/Seul',
    );
  });
});

describe('the day is that of the time zone of the schedule', () => {
  test('two in the morning in Seoul is the day before in UTC', () => {
    const at = '2025-09-30T17:00:00Z';
    expect(resolved('{{scheduled}} {{scheduled-1d}}', at, 'Asia/Seoul')).toBe('2025-10-01 2025-09-30');
    expect(resolved('{{scheduled}}', at)).toBe('2025-09-30');
  });

  /** 02:00 on the wall; on the day that has none, the moment at which it would have been. */
  test.each([
    [
      'the clocks go forward in New York',
      'America/New_York',
      '2026-03-08T07:00:00Z',
      '2026-03-08',
      '2026-03-07',
    ],
    ['the day after', 'America/New_York', '2026-03-09T06:00:00Z', '2026-03-09', '2026-03-08'],
    [
      'the clocks go back in New York',
      'America/New_York',
      '2026-11-01T07:00:00Z',
      '2026-11-01',
      '2026-10-31',
    ],
    ['the day after', 'America/New_York', '2026-11-02T07:00:00Z', '2026-11-02', '2026-11-01'],
    ['the clocks go forward in Berlin', 'Europe/Berlin', '2026-03-29T01:00:00Z', '2026-03-29', '2026-03-28'],
    ['the first 02:00 of two in Berlin', 'Europe/Berlin', '2026-10-25T00:00:00Z', '2026-10-25', '2026-10-24'],
    [
      'the second 02:00 of two in Berlin',
      'Europe/Berlin',
      '2026-10-25T01:00:00Z',
      '2026-10-25',
      '2026-10-24',
    ],
    ['the day after', 'Europe/Berlin', '2026-10-26T01:00:00Z', '2026-10-26', '2026-10-25'],
  ])('%s (%s)', (_, timeZone, at, today, yesterday) => {
    expect(resolved('{{scheduled}} {{scheduled-1d}}', at, timeZone)).toBe(`${today} ${yesterday}`);
  });

  test('Samoa has left a day out: the day before is the one on the calendar', () => {
    expect(resolved('{{scheduled}}', '2011-12-30T12:00:00Z', 'Pacific/Apia')).toBe('2011-12-31');
    expect(resolved('{{scheduled-1d}}', '2011-12-30T12:00:00Z', 'Pacific/Apia')).toBe('2011-12-30');
  });
});

const zones = [
  'UTC',
  'Asia/Seoul',
  'Europe/Berlin',
  'America/New_York',
  'America/Sao_Paulo',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Kiritimati',
  'Pacific/Niue',
  'Asia/Beirut',
];
const zone = fc.constantFrom(...zones);
const day = fc.date({ min: new Date('2000-01-01'), max: new Date('2035-12-31'), noInvalidDate: true });
const dateOf = (at: Date) => at.toISOString().slice(0, 10);

test('nightly runs name every day of the calendar once, whatever the clocks do', () => {
  fc.assert(
    fc.property(zone, day, fc.integer({ min: 0, max: 23 }), (timeZone, start, hour) => {
      const names: string[] = [];
      for (let date = dateOf(start), n = 0; n < 5; n++, date = dayAfter(date)) {
        // Whatever hour it is, the day is the one that began last.
        const at = new Date(startOfDay(date, timeZone).getTime() + Math.min(hour, 22) * 3_600_000);
        names.push(resolveExpressions('{{scheduled-1d}}', { scheduledAt: at, timeZone }));
      }
      expect(dayAfter(names[0] as string)).toBe(dateOf(start));
      const expected = [names[0] as string];
      while (expected.length < names.length) expected.push(dayAfter(expected.at(-1) as string));
      expect(names).toEqual(expected);
    }),
    { numRuns: 100 },
  );
});

test('a day begins with its first second, which is not always midnight', () => {
  fc.assert(
    fc.property(zone, day, (timeZone, at) => {
      const begin = startOfDay(dateOf(at), timeZone);
      const on = (ms: number) => resolveExpressions('{{scheduled}}', { scheduledAt: new Date(ms), timeZone });
      expect(on(begin.getTime())).toBe(dateOf(at));
      expect(on(begin.getTime() - 1000) < dateOf(at)).toBe(true);
    }),
    { numRuns: 100 },
  );
  // The clocks went forward at midnight.
  expect(startOfDay('2022-03-27', 'Asia/Beirut').toISOString()).toBe('2022-03-26T22:00:00.000Z');
  expect(() => startOfDay('2025-02-30', 'UTC')).toThrow('a date is written like 2025-10-01');
  expect(() => startOfDay('today', 'UTC')).toThrow('a date is written like 2025-10-01');
});
