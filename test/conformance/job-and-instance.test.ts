import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ScheduleOverlapPolicy, type WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { addTargets, configureLegacyApi, openStores } from '../support/migration.ts';
import { control, until } from '../support/runs.ts';
import { waitFor } from '../support/stack.ts';
import { each, endingOf, fails, Fixture, instanceOf, upTo } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open();
});

afterAll(() => fixture?.close());

describe('36: same parameters while running → JobExecutionAlreadyRunning naming the run; the first is not disturbed', () => {
  test('from a UI-style start with another workflow id, and from a schedule', async () => {
    await fixture.hold('held', 3);
    const told = { heldInProcessor: [3] };
    const first = await fixture.start('held', told, { workflowId: 'the-first' });
    await fixture.reached('held', 'process', 3);
    const refused = [
      await fixture.run('held', told, { workflowId: 'ui-style' }),
      await endingOf(await startedBySchedule({ run: 'held', ...told })),
    ];
    for (const { type, message } of refused) {
      expect(type).toBe('JobExecutionAlreadyRunning');
      expect(message).toContain(`${instanceOf('held')} is running already, as workflow the-first`);
    }
    await fixture.release('held');
    expect(await endingOf(first)).toMatchObject({ status: 'completed' });
    expect(await fixture.effects('held')).toMatchObject({ read: 5, written: upTo(5) });
    expect(await fixture.calls('held', 'process')).toEqual(each(upTo(5)));
  });

  test('from the command line', async () => {
    const { world } = fixture;
    const stores = openStores(world);
    try {
      await addTargets(stores, 60);
      await configureLegacyApi(world, { latency: 1_000 });
      const instance = 'documentMigration:run=1';
      const first = await world.start('documentMigration', { inFlight: 1 }, 'another-id');
      await until(world, first.workflowId, 'running');
      const second = await keystride(['start', 'documentMigration', '-o', 'json'], world.environment);
      expect(second.exitCode).toBe(1);
      expect(second.json()).toMatchObject({ error: { type: 'JobExecutionAlreadyRunning' } });
      expect(second.stdout + second.stderr).toContain(
        `${instance} is running already, as workflow another-id`,
      );
      await control(first, 'stop');
      expect(await endingOf(first)).toMatchObject({ status: expect.stringMatching(/^stopped|^completed/) });
    } finally {
      await stores.close();
    }
  });
});

/** The workflow that a schedule, triggered once, has started. */
async function startedBySchedule(parameters: object): Promise<WorkflowHandle> {
  const { client, taskQueue } = fixture.world;
  const schedule = await client.schedule.create({
    scheduleId: `schedule-${crypto.randomUUID()}`,
    spec: {},
    state: { paused: true },
    action: { type: 'startWorkflow', workflowType: 'fixture', taskQueue, args: [parameters] },
  });
  try {
    await schedule.trigger(ScheduleOverlapPolicy.ALLOW_ALL);
    const action = await waitFor(async () => (await schedule.describe()).info.recentActions[0]?.action, {
      what: 'the schedule to start a workflow',
    });
    return client.workflow.getHandle(action.workflow.workflowId, action.workflow.firstExecutionRunId);
  } finally {
    await schedule.delete();
  }
}

test('37: same parameters after completion → JobInstanceAlreadyComplete; with a new identifying parameter it runs', async () => {
  expect((await fixture.run('done')).status).toBe('completed');
  const again = await fixture.run('done');
  expect(again.type).toBe('JobInstanceAlreadyComplete');
  expect(again.message).toContain(`${instanceOf('done')} has completed`);
  expect(await fixture.effects('done')).toMatchObject({ read: 5, written: upTo(5) });
  expect((await fixture.run('done', { date: '2025-10-02' })).status).toBe('completed');
  // The same output table, written by two instances.
  expect((await fixture.effects('done')).written).toEqual(upTo(5).flatMap((item) => [item, item]));
});

test('38: fifty starts at once of one instance → one runs', async () => {
  const handles = await Promise.all(
    upTo(50).map((index) => fixture.start('fifty', {}, { workflowId: `fifty-${index}` })),
  );
  const endings = await Promise.all(handles.map((handle) => endingOf(handle)));
  expect(endings.filter(({ status }) => status === 'completed')).toHaveLength(1);
  const refused = endings.filter(({ status }) => status === 'failed');
  expect(refused).toHaveLength(49);
  for (const { type } of refused)
    expect(type).toMatch(/^JobExecutionAlreadyRunning$|^JobInstanceAlreadyComplete$/);
  expect(await fixture.effects('fifty')).toMatchObject({ read: 5, writtenCount: 5, written: upTo(5) });
  expect(await fixture.calls('fifty', 'process')).toEqual(each(upTo(5)));
  const { rows } = await fixture.pool.query<{ epoch: string }>(
    'SELECT epoch FROM keystride.instance WHERE instance_key = $1',
    [instanceOf('fifty')],
  );
  expect(rows).toEqual([{ epoch: '1' }]);
});

const flow = { job: 'fixtureFlow' };

test('39: failed in step 2 of 3 → restart skips step 1 (its result is still there), goes on inside step 2', async () => {
  const failed = await fixture.run('second', { faults: [fails('write', 4, { error: 'other' })] }, flow);
  expect(failed.status).toBe('failed');
  expect(failed.message).toContain('step items failed');
  const prepared = await notes('second');
  expect(prepared).toMatchObject([{ step: 'prepare' }]);
  const { status, report } = await fixture.run('second', {}, flow);
  expect(status).toBe('completed');
  expect(report?.steps).toMatchObject([
    { step: 'prepare', status: 'completed', result: { id: Number(prepared[0]?.id) } },
    { step: 'items', status: 'completed', written: 5 },
    { step: 'finish', status: 'completed' },
  ]);
  expect((await notes('second')).map(({ step }) => step)).toEqual(['prepare', 'finish']);
  expect(await fixture.effects('second', flow)).toMatchObject({ read: 5, written: upTo(5) });
  expect(await fixture.calls('second', 'write')).toEqual({ ...each([1, 2, 5]), ...each([3, 4], 2) });
});

/** The rows that the tasklets of a flow have written. */
async function notes(run: string): Promise<{ id: string; step: string }[]> {
  const { rows } = await fixture.pool.query<{ id: string; step: string }>(
    `SELECT id, step FROM fixture_output WHERE run = $1 AND step IN ('prepare', 'finish') ORDER BY id`,
    [run],
  );
  return rows;
}

test('40: allowStartIfComplete on a step → run again', async () => {
  const told = { faults: [fails('write', 4, { error: 'other' })], allowStartIfComplete: true };
  expect((await fixture.run('again', told, flow)).status).toBe('failed');
  expect((await fixture.run('again', { allowStartIfComplete: true }, flow)).status).toBe('completed');
  expect((await notes('again')).map(({ step }) => step)).toEqual(['prepare', 'prepare', 'finish']);
});

test('40: startLimit on a step → refused with the count', async () => {
  const told = { faults: [fails('write', 4, { error: 'other' })], startLimit: 2 };
  for (const attempt of [1, 2]) {
    const { message } = await fixture.run('limited', told);
    expect(message, `start ${attempt}`).toContain('write of item 4 fails as told');
  }
  const { status, type, message } = await fixture.run('limited', { startLimit: 2 });
  expect({ status, type }).toEqual({ status: 'failed', type: 'StartLimitExceeded' });
  expect(message).toContain('has been started 2 times; its limit is 2');
  expect(await fixture.effects('limited')).toMatchObject({ read: 2, written: [1, 2] });
});

test('41: preventRestart → the second start is refused', async () => {
  const once = { job: 'fixtureOnce' };
  const failed = await fixture.run('never', { faults: [fails('write', 4, { error: 'other' })] }, once);
  expect(failed.message).toContain('write of item 4 fails as told');
  const { type, message } = await fixture.run('never', {}, once);
  expect(type).toBe('JobRestartRefused');
  expect(message).toContain(instanceOf('never', 'fixtureOnce'));
  expect(await fixture.effects('never', once)).toMatchObject({ read: 2, written: [1, 2] });
});

test('42: stop in step 1 → stopped; restart continues; nothing redone', async () => {
  const told = { items: 40, itemMilliseconds: 25 };
  const handle = await fixture.start('stopped', told);
  await fixture.reached('stopped', 'process', 8);
  expect(await control(handle, 'stop', 'enough for today')).toEqual({ status: 'stopping' });
  expect(await endingOf(handle)).toMatchObject({ status: 'stopped', report: { reason: 'enough for today' } });
  const { read, written } = await fixture.effects('stopped');
  expect(read).toBeGreaterThanOrEqual(6);
  expect(read).toBeLessThan(40);
  expect(written).toEqual(upTo(read));
  expect((await fixture.run('stopped', told)).status).toBe('completed');
  expect(await fixture.effects('stopped')).toMatchObject({ read: 40, writtenCount: 40, written: upTo(40) });
  expect(await fixture.calls('stopped', 'process')).toEqual(each(upTo(40)));
  expect(await fixture.calls('stopped', 'write')).toEqual(each(upTo(40)));
});

test.for([
  ['missing', {}, ['run: ']],
  ['of the wrong type', { run: 7, items: 'many' }, ['run: ', 'items: ']],
  ['unknown', { run: 'refused', colour: 'red', shape: 'round' }, ['colour', 'shape']],
  ['an impossible date', { run: 'refused', date: '2025-02-30' }, ['date: ']],
  [
    'all at once',
    { date: 'soon', chunkSize: 0, colour: 'red' },
    ['run: ', 'date: ', 'chunkSize: ', 'colour'],
  ],
] as const)(
  '43: parameters %s → refused before anything is written; the message names each',
  async ([, parameters, named]) => {
    const before = await ledgerRows();
    const { type, message } = await endingOf(await fixture.world.start('fixture', parameters));
    expect(type).toBe('JobParametersInvalid');
    for (const name of named) expect(message).toContain(name);
    expect(message).toContain('It takes: run, date, ');
    expect(await ledgerRows()).toEqual(before);
  },
);

async function ledgerRows(): Promise<unknown> {
  const { rows } = await fixture.pool.query(
    `SELECT (SELECT count(*) FROM keystride.instance) AS instances, (SELECT count(*) FROM keystride.step) AS steps,
            (SELECT count(*) FROM keystride.checkpoint) AS checkpoints, (SELECT count(*) FROM fixture_output) AS output`,
  );
  return rows;
}

test('44: a non-identifying parameter differs → same instance', async () => {
  await fixture.hold('same', 3);
  const first = await fixture.start('same', { heldInProcessor: [3] }, { workflowId: 'same-first' });
  await fixture.reached('same', 'process', 3);
  const running = await fixture.run('same', { chunkSize: 1, skipLimit: 9 });
  expect(running.type).toBe('JobExecutionAlreadyRunning');
  await fixture.release('same');
  expect((await endingOf(first)).status).toBe('completed');
  expect((await fixture.run('same', { partitions: 4 })).type).toBe('JobInstanceAlreadyComplete');
  expect(await fixture.effects('same')).toMatchObject({ read: 5, written: upTo(5) });
});

describe('45: two runs, the worker of the first frozen and woken after the second has claimed → the ghost is fenced; its chunk is not there twice', () => {
  // The second run has a task queue of its own: a frozen worker still holds the polls that it has sent.
  const elsewhere = 'elsewhere';

  beforeAll(async () => {
    await fixture.world.startWorker({ environment: { KEYSTRIDE_TASK_QUEUE: elsewhere } });
  });

  test.for(['Processor', 'Writer'] as const)('frozen in the %s', { timeout: 60_000 }, async (place) => {
    const [ghost] = fixture.world.workers;
    const run = `ghost${place}`;
    await fixture.hold(run, 3);
    const first = await fixture.start(run, { [`heldIn${place}`]: [3] });
    await fixture.reached(run, place === 'Writer' ? 'write' : 'process', 3);
    await waitFor(async () => (await fixture.effects(run)).read === 2, { what: 'the chunk before' });
    await ghost?.kill('SIGSTOP');
    try {
      await first.terminate('its worker is frozen');
      await fixture.release(run);
      const second = await fixture.world.client.workflow.start('fixture', {
        taskQueue: elsewhere,
        workflowId: `${run}-second`,
        args: [{ run }],
      });
      expect(await endingOf(second)).toMatchObject({ status: 'completed' });
    } finally {
      await ghost?.kill('SIGCONT');
    }
    await waitFor(
      async () => {
        const log = await readFile(ghost?.logFile ?? '', 'utf8');
        return log
          .split('\n')
          .some((line) => line.includes(`${instanceOf(run)} has been claimed by a later execution`));
      },
      { what: 'the ghost to be fenced', timeoutMs: 15_000 },
    );
    expect(await fixture.effects(run)).toMatchObject({ read: 5, writtenCount: 5, written: upTo(5) });
  });
});

describe('a job of the same name in another project, upon one ledger', () => {
  const another = path.join(import.meta.dirname, '../support/jobs/another-project');
  const ofAnother = (run: string) => ({
    type: 'OtherProject',
    message: expect.stringContaining(
      `${instanceOf(run)} belongs to project keystride-jobs on this ledger, and this is project another project`,
    ) as string,
  });
  const elsewhere = (workflowType: string, input: object) =>
    fixture.world.client.workflow
      .start(workflowType, { taskQueue: 'another', workflowId: crypto.randomUUID(), args: [input] })
      .then((handle) => endingOf(handle));

  beforeAll(() =>
    fixture.world.startWorker({
      program: path.join(another, 'worker.ts'),
      environment: { KEYSTRIDE_TASK_QUEUE: 'another' },
    }),
  );

  test('is not taken for complete, nor gone on with, redriven or verified, by whatever way; its own instances run', async () => {
    const told = { faults: [fails('process', 2)] };
    expect((await fixture.run('ours', told)).status).toMatch(/^completed/u);
    const parameters = { run: 'ours' };
    expect(await elsewhere('fixture', parameters)).toMatchObject(ofAnother('ours'));
    expect(await elsewhere('scheduledJob', { job: 'fixture', parameters })).toMatchObject(ofAnother('ours'));
    expect(await elsewhere('verification', { job: 'fixture', parameters })).toMatchObject(ofAnother('ours'));
    expect(await elsewhere('redrive', { instance: instanceOf('ours') })).toMatchObject(ofAnother('ours'));
    expect(await elsewhere('fixture', { run: 'theirs' })).toMatchObject({ status: 'completed' });
    expect(await fixture.run('theirs')).toMatchObject({ type: 'OtherProject' });
  });

  test('nor from the command line, where the other’s run has the id that its own would have', async () => {
    const { environment } = fixture.world;
    const theirs = { ...environment, KEYSTRIDE_CONFIG: path.join(another, 'keystride.config.ts') };
    const start = ['start', 'evenNumbers', '--param', 'to=10', '--watch', '-o', 'json'];
    const ours = (await keystride(start, environment)).json() as { workflowId: string; status: string };
    expect(ours.status).toBe('completed');
    const refused = await keystride(start, { ...theirs, KEYSTRIDE_TASK_QUEUE: 'another' });
    expect(refused.exitCode).toBe(1);
    expect(refused.json()).toMatchObject({ error: { type: 'OtherProject' } });
    // Before it has begun: no failed run stands in the lists.
    const latest = await fixture.world.client.workflow.getHandle(ours.workflowId).describe();
    expect(latest.status.name).toBe('COMPLETED');
    expect((await keystride(start, environment)).json()).toMatchObject({
      error: { type: 'JobInstanceAlreadyComplete' },
    });
  });
});
