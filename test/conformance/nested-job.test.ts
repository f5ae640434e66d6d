import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { control, stepOf, until } from '../support/runs.ts';
import { waitFor } from '../support/stack.ts';
import { each, endingOf, fails, Fixture, instanceOf, type Told, upTo } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open();
});

afterAll(() => fixture?.close());

const nested: Told = { flow: 'nested' };
const flow = { job: 'fixtureFlow' };

/** Starts the parent under the id of its instance, as the command line does. */
function start(run: string, told: Told = nested, job = 'fixtureFlow'): Promise<WorkflowHandle> {
  return fixture.start(run, told, { job, workflowId: instanceOf(run, job) });
}

function handleOf(workflowId: string): WorkflowHandle {
  return fixture.world.client.workflow.getHandle(workflowId);
}

/** How the ledger says that the nested instance stands. */
async function standing(run: string): Promise<string | undefined> {
  const { rows } = await fixture.pool.query<{ status: string }>(
    'SELECT status FROM keystride.instance WHERE instance_key = $1',
    [instanceOf(run)],
  );
  return rows[0]?.status;
}

/** More than is done before a page hears, with a heartbeat, that it is to rest. */
const many: Told = { ...nested, items: 100, chunkSize: 5, itemMilliseconds: 30 };

/** Starts the parent and waits until its nested job has committed something, and holds at an item. */
async function inTheMiddle(run: string): Promise<WorkflowHandle> {
  await fixture.hold(run, 7);
  const handle = await start(run, { ...many, heldInProcessor: [7] });
  await fixture.reached(run, 'process', 7);
  return handle;
}

/** Every step has done everything once, the nested job's too. */
async function expectWhole(run: string, items = 100): Promise<void> {
  expect(await fixture.effects(run)).toMatchObject({
    read: items,
    writtenCount: items,
    written: upTo(items),
  });
  for (const step of ['prepare', 'finish'])
    expect((await fixture.effects(run, { ...flow, step })).written, step).toEqual([1]);
}

// Each of them waits more than it works.
describe.concurrent('53: a nested job → as plain code, in the report', () => {
  test('it is an ordinary execution of an ordinary instance, and a step of its parent', async () => {
    const { report, status } = await fixture.run('plain', { ...nested, faults: [fails('process', 4)] }, flow);
    expect(status, 'as the nested one').toBe('completedWithSkips');
    expect(report?.steps.map(({ step, kind, status: ended }) => `${step} ${kind} ${ended}`)).toEqual([
      'prepare tasklet completed',
      'inner job completed',
      'finish tasklet completed',
    ]);
    const instance = instanceOf('plain');
    expect(stepOf(report as JobProgress, 'inner')).toMatchObject({
      ...{ read: 5, written: 4, skipped: 1, filtered: 0 },
      result: { workflowId: instance, instance, status: 'completedWithSkips' },
    });
    expect(await fixture.effects('plain')).toMatchObject({ written: [1, 2, 3, 5], skips: ['process 4'] });
    const own = (await handleOf(instance).result()) as JobProgress;
    expect(own).toMatchObject({ job: 'fixture', instance, status: 'completedWithSkips' });
    expect((await handleOf(instance).describe()).parentExecution?.workflowId).toBe(report?.workflowId);
  });

  test('parameters that it does not take fail its step, and name the fault', async () => {
    const { type, message } = await fixture.run('wrong', { flow: 'nestedWrongly' }, flow);
    expect(type).toBe('JobParametersInvalid');
    expect(message).toMatch(/step inner failed.*colour/u);
  });

  test('an instance that has completed before is taken as done, with its figures', async () => {
    await fixture.run('before', { faults: [fails('process', 2)] }, { workflowId: 'by-itself' });
    const { report } = await fixture.run('before', nested, flow);
    expect(stepOf(report as JobProgress, 'inner')).toMatchObject({
      ...{ status: 'completed', read: 5, written: 4, skipped: 1 },
      result: { workflowId: 'by-itself', instance: instanceOf('before'), status: 'completedWithSkips' },
    });
    expect(await fixture.calls('before', 'process')).toEqual(each(upTo(5)));
  });

  test('its failure is the step’s, with the whole story; a restart of the parent goes on inside it', async () => {
    const told = { ...nested, items: 100, chunkSize: 5 };
    const failed = await fixture.run(
      'fails',
      { ...told, faults: [fails('process', 8, { error: 'other' })] },
      flow,
    );
    expect(failed).toMatchObject({ status: 'failed', type: 'StepFailed' });
    expect(failed.message).toMatch(
      /^fixtureFlow:\S+ step inner failed\. fixture:\S+ step items failed\. .*process of item 8 fails as told/u,
    );
    expect(await standing('fails')).toBe('failed');
    const before = await fixture.calls('fails', 'write');
    expect(Object.keys(before).length).toBeGreaterThan(0);
    expect((await fixture.run('fails', told, flow)).status).toBe('completed');
    await expectWhole('fails');
    expect(await fixture.calls('fails', 'write'), 'nothing that had committed').toMatchObject(before);
  });
});

describe.concurrent('53: the controls of a parent reach its nested job', () => {
  test('it is paused when the nested job rests, and goes on where that stood', async () => {
    const handle = await inTheMiddle('pause');
    const runId = (await handleOf(instanceOf('pause')).describe()).runId;
    await handle.executeUpdate('tune', { args: [{ rowsPerSecond: 1000 }] });
    expect(await control(handle, 'pause', 'lunch')).toEqual({ status: 'pausing' });
    // An item is still being processed.
    expect((await fixture.world.progress(handle.workflowId)).status).toBe('pausing');
    await fixture.release('pause');
    const paused = await until(fixture.world, handle.workflowId, 'paused');
    expect(await standing('pause')).toBe('stopped');
    const stood = await fixture.effects('pause');
    expect(stood.read).toBeLessThan(100);
    expect(stepOf(paused, 'inner')).toMatchObject({ status: 'running', read: stood.read });
    expect((await handleOf(instanceOf('pause')).describe()).runId, 'not started anew by tune').toBe(runId);

    await control(handle, 'resume');
    expect((await endingOf(handle)).report).toMatchObject({ status: 'completed' });
    await expectWhole('pause');
    expect(await fixture.calls('pause', 'write')).toEqual(each(upTo(100)));
  });

  test('it is stopped when the nested job has stopped, and the next start goes on', async () => {
    const handle = await inTheMiddle('stop');
    expect(await control(handle, 'stop', 'going home')).toEqual({ status: 'stopping' });
    await fixture.release('stop');
    const { report } = await endingOf(handle);
    expect(report).toMatchObject({ status: 'stopped', reason: 'going home' });
    expect(stepOf(report as JobProgress, 'inner').status).toBe('stopped');
    expect(await standing('stop')).toBe('stopped');
    expect((await fixture.effects('stop')).read).toBeLessThan(100);
    expect((await fixture.run('stop', { ...nested, items: 100, chunkSize: 5 }, flow)).status).toBe(
      'completed',
    );
    await expectWhole('stop');
  });

  test('a nested job that is stopped by itself stops its parent', async () => {
    const handle = await inTheMiddle('alone');
    await control(handleOf(instanceOf('alone')), 'stop', 'not today');
    await fixture.release('alone');
    const { report } = await endingOf(handle);
    expect(report).toMatchObject({
      status: 'stopped',
      reason: `${instanceOf('alone')} was stopped: not today`,
    });
    expect((await fixture.run('alone', { ...nested, items: 100, chunkSize: 5 }, flow)).status).toBe(
      'completed',
    );
    await expectWhole('alone');
  });

  test('a parent that is terminated takes it along, and the next start goes on', async () => {
    const handle = await inTheMiddle('terminated');
    await handle.terminate('by a test');
    const child = handleOf(instanceOf('terminated'));
    await waitFor(async () => (await child.describe()).status.name === 'TERMINATED', { what: 'its end' });
    const again = await start('terminated', { ...nested, items: 100, chunkSize: 5 });
    await fixture.release('terminated');
    expect((await endingOf(again)).status).toBe('completed');
    await expectWhole('terminated');
  });
});

describe.concurrent('53: an instance runs once, nested or not', () => {
  test('one that runs under another workflow refuses the parent, and is not disturbed', async () => {
    await fixture.hold('elsewhere', 3);
    const first = await fixture.start('elsewhere', { heldInProcessor: [3] }, { workflowId: 'elsewhere' });
    await fixture.reached('elsewhere', 'process', 3);
    const { type, message } = await fixture.run('elsewhere', nested, flow);
    expect(type).toBe('JobExecutionAlreadyRunning');
    expect(message).toMatch(/step inner failed.*fixture:\S+ is running already, as workflow elsewhere/u);
    await fixture.release('elsewhere');
    expect((await endingOf(first)).status).toBe('completed');
    // The next start finds it done.
    expect((await fixture.run('elsewhere', nested, flow)).status).toBe('completed');
    await expectWhole('elsewhere', 5);
  });

  test('so does one that runs under its usual workflow id', async () => {
    await fixture.hold('usual', 3);
    const workflowId = instanceOf('usual');
    const first = await fixture.start('usual', { heldInProcessor: [3] }, { workflowId });
    await fixture.reached('usual', 'process', 3);
    const { type, message } = await fixture.run('usual', nested, flow);
    expect(type).toBe('JobExecutionAlreadyRunning');
    expect(message).toContain(`keystride status ${workflowId}`);
    await fixture.release('usual');
    expect((await endingOf(first)).status).toBe('completed');
  });

  test('one that its parent runs refuses a start under another id', async () => {
    const handle = await inTheMiddle('twice');
    const { type } = await fixture.run('twice', {}, { workflowId: 'a-second-one' });
    expect(type).toBe('JobExecutionAlreadyRunning');
    await fixture.release('twice');
    expect((await endingOf(handle)).status).toBe('completed');
    await expectWhole('twice');
  });
});
