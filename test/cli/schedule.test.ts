import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DescribedSchedule } from '../../packages/keystride/src/operator/schedules/read.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';
import { keystride, type CommandResult } from './support.ts';

/** `keystride schedule`, against Temporal's own schedules. */
let world: World;

beforeAll(async () => {
  world = await createWorld();
});

afterAll(() => world?.dispose());

function schedule(...words: string[]): Promise<CommandResult> {
  return keystride(['schedule', ...words], world.environment);
}

async function json<Answer>(...words: string[]): Promise<Answer> {
  const { exitCode, stderr, json: parsed } = await schedule(...words, '-o', 'json');
  expect(exitCode, stderr).toBe(0);
  return parsed() as Answer;
}

const nightly = ['--cron', '0 2 * * *'];
const weekBefore = ['--param', 'deliveredBefore={{scheduled-7d}}'];

test('a change that the ledger cannot be told of is made all the same, and that is said', async () => {
  const elsewhere = { ...world.environment, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' };
  const words = ['create', 'purchaseConfirmation', '--cron', '0 2 * * *', '--id', 'untold', ...weekBefore];
  const created = await keystride(['schedule', ...words], elsewhere);
  expect(created.exitCode, created.stderr).toBe(0);
  expect(created.stderr).toContain('done, but not entered in the audit');
  expect(await json('delete', 'untold')).toMatchObject({ deleted: true });
});

describe('create refuses, and makes nothing, when', () => {
  test.each([
    ['the job is unknown', ['nothing', ...nightly], 'UnknownJob', 'there is no job nothing'],
    [
      'an expression is none',
      ['purchaseConfirmation', ...nightly, '--param', 'deliveredBefore={{today}}'],
      'JobParametersInvalid',
      '{{today}}: it is no date expression',
    ],
    [
      'the parameter is missing',
      ['purchaseConfirmation', ...nightly],
      'JobParametersInvalid',
      'deliveredBefore',
    ],
    [
      'the time zone is unknown',
      ['purchaseConfirmation', ...nightly, ...weekBefore, '--timezone', 'Asia/Seul'],
      'JobParametersInvalid',
      'there is no time zone Asia/Seul',
    ],
    [
      'the cron expression is malformed',
      ['purchaseConfirmation', '--cron', '0 25 * * *', ...weekBefore],
      'ScheduleInvalid',
      'Temporal refuses the schedule',
    ],
    [
      'the cron expression has seconds, as Spring writes it',
      ['purchaseConfirmation', '--cron', '0 0 2 * * *', ...weekBefore],
      'ScheduleInvalid',
      'has 6 fields',
    ],
    [
      'the cron expression names no day, beside one that does',
      ['purchaseConfirmation', ...nightly, '--cron', '0 2 31 2 *', ...weekBefore],
      'ScheduleInvalid',
      'names no day that there is',
    ],
    [
      'the time zone is unknown, where no date needs one',
      ['targetSync', ...nightly, '--timezone', 'Mars/Olympus'],
      'JobParametersInvalid',
      'there is no time zone Mars/Olympus',
    ],
  ])('%s', async (_, words, type, message) => {
    const refused = await schedule('create', ...words, '-o', 'json');
    expect(refused.exitCode).toBe(2);
    expect(refused.json()).toMatchObject({ error: { type, message: expect.stringContaining(message) } });
  });
});

test('a schedule is made, listed, described, paused, triggered and deleted', async () => {
  await world.startWorker();
  const created = await schedule(
    ...['create', 'purchaseConfirmation', ...nightly, '--timezone', 'Asia/Seoul', ...weekBefore],
    ...['--overlap', 'buffer-one', '--catchup-window', '12h', '--jitter', '90s', '--pause-on-failure'],
  );
  expect(created.exitCode, created.stderr).toBe(0);
  // The jitter moves it by up to a minute and a half.
  expect(created.stdout).toMatch(/next {2}\d{4}-\d\d-\d\d 02:0[01] Asia\/Seoul {2}purchaseConfirmation:/u);
  expect(created.stderr).toBe('');
  const again = await schedule('create', 'purchaseConfirmation', ...nightly, ...weekBefore, '-o', 'json');
  expect(again.json()).toMatchObject({ error: { type: 'ScheduleExists' } });

  const described = await json<DescribedSchedule>('describe', 'purchaseConfirmation');
  expect(described).toMatchObject({
    job: 'purchaseConfirmation',
    parameters: { deliveredBefore: '{{scheduled-7d}}' },
    timeZone: 'Asia/Seoul',
    cron: ['0 2 * * *'],
    paused: false,
    overlap: 'buffer-one',
    catchupWindowSeconds: 12 * 3600,
    pauseOnFailure: true,
    jitterSeconds: 90,
    last: [],
  });
  for (const { at, instance } of described.next) {
    // Seoul is nine hours ahead: the action of a day is at 17:00 of the day before.
    const day = new Date(Date.parse(at) + 9 * 3_600_000 - 7 * 86_400_000).toISOString().slice(0, 10);
    expect(instance).toBe(`purchaseConfirmation:deliveredBefore=${day}`);
  }

  expect(await json('pause', 'purchaseConfirmation', '--reason', 'closing the books')).toMatchObject({
    paused: true,
    note: 'closing the books',
  });
  await waitFor(
    async () => {
      for await (const { scheduleId } of world.client.schedule.list()) if (scheduleId) return true;
      return false;
    },
    { what: 'the schedule to be listed' },
  );
  const { stdout: listed } = await schedule('list');
  expect(listed).toMatch(/purchaseConfirmation +purchaseConfirmation +paused +- +- +closing the books/u);

  // Paused or not: a trigger is somebody's wish.
  const { action } = await json<{ action: { instance: string; workflowId: string } }>(
    'trigger',
    'purchaseConfirmation',
  );
  expect(action.instance).toMatch(/^purchaseConfirmation:deliveredBefore=\d{4}-\d\d-\d\d$/u);
  await waitFor(
    async () =>
      (await world.client.workflow.getHandle(action.workflowId).describe()).status.name === 'COMPLETED',
    { what: 'the triggered action to end' },
  );
  const shown = await schedule('describe', 'purchaseConfirmation');
  expect(shown.stdout).toContain(`completed  ${action.instance}`);
  expect(shown.stdout).toContain(
    'overlap buffer-one · catch up within 12 h · pauses on failure · jitter 1 min 30 s',
  );

  expect(await json('unpause', 'purchaseConfirmation')).toMatchObject({ paused: false });
  expect(await json('delete', 'purchaseConfirmation', '--operator', 'anna')).toMatchObject({ deleted: true });
  const audit = await keystride(['audit', 'purchaseConfirmation', '-o', 'json'], world.environment);
  expect(audit.json()).toMatchObject([
    { action: 'schedule delete', operator: 'anna', before: { cron: ['0 2 * * *'], paused: false } },
    { action: 'schedule unpause', before: { paused: true }, after: { paused: false } },
    { action: 'schedule trigger' },
    { action: 'schedule pause', reason: 'closing the books', after: { note: 'closing the books' } },
    { action: 'schedule create', from: 'command', after: { cron: ['0 2 * * *'] }, before: {} },
  ]);
  const gone = await schedule('describe', 'purchaseConfirmation', '-o', 'json');
  expect(gone.exitCode).toBe(1);
  expect(gone.json()).toMatchObject({ error: { type: 'NotFound' } });
}, 240_000);

test('a schedule that would always name the same instance is made, and the reason to worry is told', async () => {
  const { warnings } = await json<{ warnings: string[] }>(
    ...['create', 'targetSync', '--cron', '*/15 * * * *', '--paused', '--id', 'always-the-same'],
  );
  expect(warnings).toEqual([expect.stringContaining('every action names the same instance')]);
  const fresh = await json<{ warnings: string[] }>(
    ...['create', 'targetSync', '--cron', '*/15 * * * *', '--paused', '--param', 'run={{scheduled:epoch}}'],
  );
  expect(fresh.warnings).toEqual([]);
});

describe('on the days when the clocks change', () => {
  async function backfilled(id: string, from: string, to: string): Promise<unknown> {
    const { exitCode, json: parsed } = await schedule(
      ...['backfill', id, '--from', from, '--to', to, '-o', 'json'],
    );
    const answer = parsed() as { actions?: unknown; error?: { type: string } };
    return exitCode === 0 ? answer.actions : answer.error?.type;
  }

  const confirmed = (date: string) => `purchaseConfirmation:deliveredBefore=${date}`;

  test('02:00 in Berlin is missing once a year, which is told, and comes twice, which is one instance', async () => {
    // Told whatever the time is now: a schedule of each of its minutes.
    for (const minute of [0, 30, 59]) {
      const cron = ['--cron', `${minute} 2 * * *`, '--timezone', 'Europe/Berlin', '--paused'];
      const { warnings: told } = await json<{ warnings: string[] }>(
        ...['create', 'purchaseConfirmation', ...cron, ...weekBefore, '--id', `berlin-${minute}`],
      );
      expect(told).toEqual([expect.stringContaining('jump over the time')]);
    }
    const { warnings } = await json<{ warnings: string[] }>(
      ...['create', 'purchaseConfirmation', ...nightly, '--timezone', 'Europe/Berlin', '--id', 'berlin'],
      ...['--paused', '--param', 'deliveredBefore={{scheduled-1d}}'],
    );
    expect(warnings).toEqual([
      expect.stringMatching(/^on \d{4}-03-\d\d the clocks of Europe\/Berlin jump over the time/u),
    ]);
    expect(await backfilled('berlin', '2026-03-29', '2026-03-29')).toBe('NothingToBackfill');
    expect(await backfilled('berlin', '2026-03-28', '2026-03-30')).toEqual([
      { at: '2026-03-28T01:00:00.000Z', instance: confirmed('2026-03-27') },
      { at: '2026-03-30T00:00:00.000Z', instance: confirmed('2026-03-29') },
    ]);
    const autumn = (await backfilled('berlin', '2026-10-25', '2026-10-25')) as { instance: string }[];
    expect([...new Set(autumn.map(({ instance }) => instance))]).toEqual([confirmed('2026-10-24')]);
  });

  test('03:00 in New York is there on both', async () => {
    const { warnings } = await json<{ warnings: string[] }>(
      ...['create', 'purchaseConfirmation', '--cron', '0 3 * * *', '--timezone', 'America/New_York'],
      ...['--id', 'new-york', '--paused', '--param', 'deliveredBefore={{scheduled-1d}}'],
    );
    // At three the clocks have changed.
    expect(warnings).toEqual([]);
    expect(await backfilled('new-york', '2026-03-08', '2026-03-08')).toEqual([
      { at: '2026-03-08T07:00:00.000Z', instance: confirmed('2026-03-07') },
    ]);
    expect(await backfilled('new-york', '2026-11-01', '2026-11-01')).toEqual([
      { at: '2026-11-01T08:00:00.000Z', instance: confirmed('2026-10-31') },
    ]);
  });
});
