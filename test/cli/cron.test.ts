import { describe, expect, test } from 'vitest';
import { checkCron, surprisesOf } from '../../packages/keystride/src/operator/schedules/cron.ts';
import { CommandError } from '../../packages/keystride/src/operator/command-error.ts';

function refusalOf(cron: string): string {
  try {
    checkCron(cron);
  } catch (error) {
    if (error instanceof CommandError) return `${error.what}. ${error.todo}`;
    throw error;
  }
  return '';
}

describe('refuses, and says what to write instead', () => {
  test.each([
    ['0 0 2 * * *', /six|6 fields.*Spring.*--cron "0 2 \* \* \*"/su],
    ['0 0 2 ? * MON-FRI', /--cron "0 2 \* \* MON-FRI"/u],
    ['0 2 * * * 2027', /6 fields.*year/su],
    ['0 0 2 * * ? 2027', /7 fields.*--cron "0 2 \* \* \*"/su],
    ['0 2 31 2 *', /no day that there is/u],
    ['0 2 30 FEB *', /no day that there is/u],
    ['0 2 30,31 2 *', /no day that there is/u],
    ['0 2 31 4,6,9,nov *', /no day that there is/u],
    ['0 2 31 2 MON', /no day that there is/u],
    ['0 2 L * *', /Quartz and Spring/u],
    ['0 2 15W * *', /Quartz and Spring/u],
    ['0 2 ? * MON', /Quartz and Spring/u],
    ['0 2 * * 1#2', /1#2.*Quartz and Spring/u],
    ['0 2 * * 5L', /Quartz and Spring/u],
    ['CRON_TZ=Asia/Seoul 0 2 * * *', /--timezone/u],
    ['TZ=UTC 0 2 * * *', /--timezone/u],
    ['@reboot', /no word that Temporal knows.*@daily/su],
    ['@Daily', /no word that Temporal knows/u],
    ['@every', /no word that Temporal knows/u],
    ['0 2 * *', /4 fields, not five/u],
    ['', /0 fields, not five/u],
    ['0\u001b[31m 2 * *', /^--cron "0 \[31m 2 \* \*"/u],
  ])('%s', (cron, refusal) => {
    expect(refusalOf(cron)).toMatch(refusal);
  });
});

test.each([
  '0 2 * * *',
  ' 0 2 * * 1-5 ',
  '*/15 * * * *',
  '0 2 29 2 *',
  '0 2 29 2 MON',
  '0 2 31 * *',
  '0 2 1,15 jan-jun *',
  '0 2 * january monday',
  '5/20 0-59/15 * * 7',
  '@daily',
  '@midnight',
  '@every 90m',
  '@every 1h30m/5m',
  // Temporal's to refuse.
  '0 25 * * *',
  '0 2 * * MOO',
])('takes %s', (cron) => {
  expect(refusalOf(cron)).toBe('');
});

test.each([
  ['0 2 * * *', []],
  ['*/15 */6 * * 1-5', []],
  ['0 2 */1 * MON', []],
  ['0 2 13 * FRI', [/both, by date and by weekday; cron would run on either/u]],
  ['*/7 * * * *', [/every 7 minutes begins anew each hour/u]],
  ['0 */5 * * *', [/every 5 hours begins anew each day/u]],
  ['0 2 */2 * *', [/every 2 days begins anew each month/u]],
  ['0 2 29 2 *', [/in leap years alone/u]],
  ['0 2 29 * *', [/in leap years alone/u]],
  ['0 2 30 * *', [/months without day 30/u]],
  ['0 2 31 * *', [/months without day 31/u]],
  ['0 2 31 1,3 *', []],
  ['0 2 28-31 * *', []],
  ['@every 7h', [/counted from 1970/u]],
  ['@daily', []],
])('%s surprises by what it is', (cron, told) => {
  expect(surprisesOf(cron)).toEqual(told.map((pattern) => expect.stringMatching(pattern)));
});
