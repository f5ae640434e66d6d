import { ScheduleOverlapPolicy, type ScheduleHandle, type ScheduleOptions } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type {
  ScheduledJobInput,
  ScheduledJobResult,
} from '../../packages/keystride/src/contract/scheduled-job.ts';
import { each, fails, Fixture, instanceOf, type Told, upTo } from '../conformance/fixture.ts';
import { keystride } from '../cli/support.ts';
import { failureOf } from '../support/runs.ts';
import { waitFor } from 'keystride/testing';

/** Temporal's own schedules, whose action is the workflow scheduledJob over the fixture's jobs. */
let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open();
});

afterAll(() => fixture?.close());

const yesterday = '{{scheduled-1d}}';
const october = ['--from', '2025-10-01', '--to', '2025-10-05'];
/** What the nightly runs of these days are about. */
const dates = ['2025-09-30', '2025-10-01', '2025-10-02', '2025-10-03', '2025-10-04'];

/** A nightly schedule of the fixture that takes no action by itself. */
async function nightly(
  run: string,
  told: Told = {},
  { scheduleId = run, ...more }: Partial<ScheduleOptions> = {},
): Promise<ScheduleHandle> {
  const { client, taskQueue } = fixture.world;
  const input: ScheduledJobInput = {
    job: 'fixture',
    parameters: { run, date: yesterday, ...told },
    timeZone: 'Asia/Seoul',
  };
  return client.schedule.create({
    scheduleId,
    spec: { cronExpressions: ['0 2 * * *'], timezone: 'Asia/Seoul' },
    state: { paused: true },
    action: { type: 'startWorkflow', workflowType: 'scheduledJob', taskQueue, args: [input] },
    ...more,
  });
}

/** The actions of a schedule, when so many have been taken, in the order of their scheduled times. */
function actionsOf(schedule: ScheduleHandle, count: number) {
  return waitFor(
    async () => {
      const { recentActions } = (await schedule.describe()).info;
      return (
        recentActions.length >= count &&
        recentActions.toSorted((a, b) => a.scheduledAt.getTime() - b.scheduledAt.getTime())
      );
    },
    { what: `${count} actions of ${schedule.scheduleId}` },
  );
}

/** The workflows of these actions. */
async function handlesOf(schedule: ScheduleHandle, count: number) {
  return (await actionsOf(schedule, count)).map(({ action }) =>
    fixture.world.client.workflow.getHandle<() => Promise<ScheduledJobResult>>(
      action.workflow.workflowId,
      action.workflow.firstExecutionRunId,
    ),
  );
}

async function backfill(scheduleId: string, ...words: string[]): Promise<unknown> {
  const command = ['schedule', 'backfill', scheduleId, ...october, ...words, '-o', 'json'];
  const { exitCode, stderr, json } = await keystride(command, fixture.world.environment);
  expect(exitCode, stderr).toBe(0);
  return json();
}

async function instances(run: string): Promise<Record<string, string>> {
  const { rows } = await fixture.pool.query<{ instance_key: string; status: string }>(
    `SELECT instance_key, status FROM keystride.instance WHERE params ->> 'run' = $1`,
    [run],
  );
  return Object.fromEntries(rows.map((row) => [row.instance_key, row.status]));
}

const fourTimes = (word: string): string[] => upTo(4).map(() => word);

const allOf = (run: string, status: string, of: readonly string[] = dates) =>
  Object.fromEntries(of.map((date) => [instanceOf(run, 'fixture', date), status]));

test('a triggered schedule makes one run, of the date in its time zone', async () => {
  const schedule = await nightly('trigger');
  await schedule.trigger();
  const [action] = await actionsOf(schedule, 1);
  const [handle] = await handlesOf(schedule, 1);
  // Seoul is nine hours ahead, all year.
  const today = new Date((action?.scheduledAt.getTime() ?? 0) + 9 * 3_600_000);
  const date = new Date(today.getTime() - 24 * 3_600_000).toISOString().slice(0, 10);
  const instance = instanceOf('trigger', 'fixture', date);
  expect(await handle?.result()).toEqual({ instance, outcome: 'completed' });
  expect(await fixture.effects('trigger')).toMatchObject({ written: upTo(5) });
  expect(await instances('trigger')).toEqual({ [instance]: 'completed' });
  await schedule.trigger();
  const [, again] = await handlesOf(schedule, 2);
  expect(await again?.result()).toEqual({ instance, outcome: 'completeAlready' });
  // What was complete was not started again: its last run is still the one that completed.
  const { status } = await fixture.world.client.workflow.getHandle(instance).describe();
  expect(status.name).toBe('COMPLETED');
});

test('three workers and three schedules of one instance make one run', async () => {
  await Promise.all([fixture.world.startWorker(), fixture.world.startWorker()]);
  const told = { date: '2025-10-01', heldInProcessor: [3] };
  await fixture.hold('three', 3);
  const schedules = await Promise.all(
    upTo(3).map((n) => nightly('three', told, { scheduleId: `three-${n}` })),
  );
  await Promise.all(schedules.map((schedule) => schedule.trigger()));
  const handles = (await Promise.all(schedules.map((schedule) => handlesOf(schedule, 1)))).flat();
  // Two of them are over while the run that all three mean still runs.
  await waitFor(
    async () => {
      const described = await Promise.all(handles.map((handle) => handle.describe()));
      return described.filter(({ status }) => status.name === 'COMPLETED').length === 2;
    },
    { what: 'two of three actions to end' },
  );
  await fixture.release('three');
  const outcomes = await Promise.all(handles.map(async (handle) => (await handle.result()).outcome));
  expect(outcomes.toSorted()).toEqual(['completed', 'runningAlready', 'runningAlready']);
  expect(await fixture.effects('three')).toMatchObject({ read: 5, written: upTo(5) });
  expect(await fixture.calls('three', 'process')).toEqual(each(upTo(5)));
});

test('a backfill runs its dates in order, one at a time; a failed one does not lose the others', async () => {
  // The first date meets a fault that is gone afterwards.
  const faults = [fails('process', 3, { error: 'other', times: 1 })];
  const schedule = await nightly('order', { faults });
  expect(await backfill('order')).toEqual({
    scheduleId: 'order',
    timeZone: 'Asia/Seoul',
    mode: 'one-at-a-time',
    actions: dates.map((date) => ({ at: `${date}T17:00:00.000Z`, instance: null })),
  });
  const [first, ...others] = await handlesOf(schedule, 5);
  if (!first) throw new Error('no action');
  expect((await failureOf(first)).message).toContain(
    `${instanceOf('order', 'fixture', dates[0])} step items`,
  );
  for (const [index, handle] of others.entries())
    expect(await handle.result()).toEqual({
      instance: instanceOf('order', 'fixture', dates[index + 1]),
      outcome: 'completed',
    });
  const times = await Promise.all([first, ...others].map((handle) => handle.describe()));
  for (const [index, { closeTime }] of times.slice(0, -1).entries())
    expect(closeTime?.getTime()).toBeLessThanOrEqual(times[index + 1]?.startTime.getTime() ?? 0);
  expect(await instances('order')).toEqual({
    ...allOf('order', 'completed'),
    [instanceOf('order', 'fixture', dates[0])]: 'failed',
  });
  // Doing it again goes on with the one that failed, and finds the others complete.
  await backfill('order');
  await waitFor(async () => (await schedule.describe()).info.numActionsTaken === 10, { what: 'ten actions' });
  await waitFor(async () => (await schedule.describe()).info.runningActions.length === 0, {
    what: 'their end',
  });
  expect(await instances('order')).toEqual(allOf('order', 'completed'));
  expect((await fixture.effects('order')).written).toHaveLength(25);
});

test('a backfill in parallel runs all its dates at once; one fails, and the others complete', async () => {
  const faults = [fails('process', 4, { error: 'other', times: 1 })];
  const schedule = await nightly('parallel', { heldInProcessor: [3], faults });
  await fixture.hold('parallel', 3);
  expect(await backfill('parallel', '--parallel')).toMatchObject({ mode: 'parallel' });
  const handles = await handlesOf(schedule, 5);
  await waitFor(async () => Object.keys(await instances('parallel')).length === 5, { what: 'five runs' });
  expect(await instances('parallel')).toEqual(allOf('parallel', 'running'));
  await fixture.release('parallel');
  const ends = await Promise.allSettled(handles.map((handle) => handle.result()));
  expect(ends.map(({ status }) => status).toSorted()).toEqual([...fourTimes('fulfilled'), 'rejected']);
  const statuses = Object.values(await instances('parallel'));
  expect(statuses.toSorted()).toEqual([...fourTimes('completed'), 'failed']);
});

test('the action lasts as long as the job: overlap skips, and a failed job pauses the schedule', async () => {
  const schedule = await nightly(
    'policies',
    { heldInProcessor: [3], faults: [fails('process', 4, { error: 'other' })] },
    { policies: { overlap: ScheduleOverlapPolicy.SKIP, pauseOnFailure: true }, state: {} },
  );
  await fixture.hold('policies', 3);
  await schedule.trigger(ScheduleOverlapPolicy.SKIP);
  const [handle] = await handlesOf(schedule, 1);
  await fixture.reached('policies', 'process', 3);
  await schedule.trigger(ScheduleOverlapPolicy.SKIP);
  await waitFor(async () => (await schedule.describe()).info.numActionsSkippedOverlap === 1, {
    what: 'the second action to be left out',
  });
  await fixture.release('policies');
  if (handle) expect((await failureOf(handle)).type).toBe('StepFailed');
  const { note } = await waitFor(
    async () => {
      const { state } = await schedule.describe();
      return state.paused && state;
    },
    { what: 'the schedule to be paused' },
  );
  expect(note).toMatch(/paused/i);
});

test('cancelling the action stops the job gracefully; the next one goes on', async () => {
  const schedule = await nightly('cancelled', { date: '2025-10-01', heldInProcessor: [3], chunkSize: 1 });
  await fixture.hold('cancelled', 3);
  await schedule.trigger();
  await fixture.reached('cancelled', 'process', 3);
  const [handle] = await handlesOf(schedule, 1);
  await handle?.cancel();
  await waitFor(async () => (await handle?.describe())?.status.name === 'CANCELLED', { what: 'its end' });
  expect(await instances('cancelled')).toEqual({ [instanceOf('cancelled')]: 'stopped' });
  await fixture.release('cancelled');
  await schedule.trigger();
  const [, next] = await handlesOf(schedule, 2);
  expect(await next?.result()).toMatchObject({ outcome: 'completed' });
  expect(await fixture.effects('cancelled')).toMatchObject({ written: upTo(5), writtenCount: 5 });
});

test('started by hand it wants the time for which it is meant, and is refused without', async () => {
  const parameters = { run: 'by-hand', date: yesterday };
  const refused = await fixture.world.start('scheduledJob', { job: 'fixture', parameters });
  expect(await failureOf(refused)).toMatchObject({
    type: 'JobParametersInvalid',
    message: expect.stringContaining('nobody has said for when this was scheduled'),
  });
  const nothing = await fixture.world.start('scheduledJob', {});
  expect((await failureOf(nothing)).type).toBe('JobParametersInvalid');
  const scheduledAt = '2026-03-29T00:30:00Z';
  const told = { job: 'fixture', parameters, scheduledAt };
  for (const [timeZone, date] of [
    ['UTC', '2026-03-28'],
    ['America/New_York', '2026-03-27'],
  ] as const) {
    const handle = await fixture.world.start('scheduledJob', { ...told, timeZone });
    expect(await handle.result()).toEqual({
      instance: instanceOf('by-hand', 'fixture', date),
      outcome: 'completed',
    });
  }
});
