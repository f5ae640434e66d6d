import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { control, until } from '../support/runs.ts';
import { each, endingOf, fails, Fixture, instanceOf, upTo } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open();
});

afterAll(() => fixture?.close());

const flow = { job: 'fixtureFlow' };

/** How the ledger says that an instance stands. */
async function standing(instance: string): Promise<string | undefined> {
  const { rows } = await fixture.pool.query<{ status: string }>(
    'SELECT status FROM keystride.instance WHERE instance_key = $1',
    [instance],
  );
  return rows[0]?.status;
}

/** Resets a run to its so-manieth completed workflow task, as `temporal workflow reset` does. @returns the new run */
async function resetTo(handle: WorkflowHandle, task: number): Promise<WorkflowHandle> {
  const { events } = await handle.fetchHistory();
  const tasks = (events ?? []).filter((event) => event.workflowTaskCompletedEventAttributes);
  const { client, namespace } = fixture.world;
  const { runId } = await client.workflowService.resetWorkflowExecution({
    namespace,
    workflowExecution: { workflowId: handle.workflowId },
    reason: 'as told',
    requestId: crypto.randomUUID(),
    workflowTaskFinishEventId: tasks.at(task)?.eventId ?? null,
  });
  return client.workflow.getHandle(handle.workflowId, runId);
}

describe.concurrent('a run that failed is reset to a moment after its claim', () => {
  const told = { faults: [fails('process', 3, { error: 'other', times: 1 })], heldInProcessor: [5] };

  test('it runs for everybody again, and completes', async () => {
    const handle = await fixture.start('reset', told, flow);
    expect((await endingOf(handle)).status).toBe('failed');
    await fixture.hold('reset', 5);
    // Its first task has claimed and opened, its second is that of the tasklet which the step that failed follows.
    const again = await resetTo(handle, 1);
    await fixture.reached('reset', 'process', 5);
    expect(await standing(instanceOf('reset', 'fixtureFlow'))).toBe('running');
    const second = await fixture.run('reset', {}, { ...flow, workflowId: 'while-reset' });
    expect(second.type).toBe('JobExecutionAlreadyRunning');
    await fixture.release('reset');
    expect((await endingOf(again)).status).toBe('completed');
    expect(await standing(instanceOf('reset', 'fixtureFlow'))).toBe('completed');
    expect(await fixture.effects('reset', flow)).toMatchObject({
      read: 5,
      writtenCount: 5,
      written: upTo(5),
    });
    expect((await fixture.run('reset', {}, flow)).type).toBe('JobInstanceAlreadyComplete');
  });

  test('while partitions run: they are run again under it, and it does not wait for those that are gone', async () => {
    await fixture.hold('partitions', 3);
    const handle = await fixture.start('partitions', { items: 20, partitions: 4, heldInProcessor: [3] });
    await fixture.reached('partitions', 'process', 3);
    const again = await resetTo(handle, -1);
    await fixture.release('partitions');
    expect((await endingOf(again)).status).toBe('completed');
    expect(await fixture.effects('partitions')).toMatchObject({ writtenCount: 20, written: upTo(20) });
  });
});

describe.concurrent('a flow that goes on when a step has thrown', () => {
  test.each(['tolerant', 'retold'])('is stopped all the same, and not complete: %s', async (name) => {
    await fixture.hold(name, 3);
    const told = { flow: name, items: 60, itemMilliseconds: 20 };
    const handle = await fixture.start(name, { ...told, heldInProcessor: [3] }, flow);
    await fixture.reached(name, 'process', 3);
    await control(handle, 'stop', 'going home');
    await fixture.release(name);
    expect((await endingOf(handle)).report).toMatchObject({ status: 'stopped', reason: 'going home' });
    expect(await standing(instanceOf(name, 'fixtureFlow'))).toBe('stopped');
    expect((await fixture.run(name, { ...told, itemMilliseconds: 0 }, flow)).status).toBe('completed');
    expect(await fixture.effects(name, flow)).toMatchObject({ writtenCount: 60, written: upTo(60) });
  });

  test('a step that is asked for again in the same execution is done once', async () => {
    const { report } = await fixture.run('again', { flow: 'again', allowStartIfComplete: true }, flow);
    expect(report?.steps.map(({ step, written }) => `${step} ${written}`)).toEqual(['items 5', 'prepare 0']);
    expect(await fixture.calls('again', 'process')).toEqual(each(upTo(5)));
    expect((await fixture.effects('again', { ...flow, step: 'prepare' })).written).toEqual([1]);
  });

  test('a step that the contract does not name fails the job, which can be started again', async () => {
    const { type, message } = await fixture.run('unknown', { flow: 'unknown' }, flow);
    expect(type).toBe('UnknownJob');
    expect(message).toContain('no step nonsense; its contract names prepare, items, more, finish');
    expect(await standing(instanceOf('unknown', 'fixtureFlow'))).toBe('failed');
  });
});

describe.concurrent('hooks around a step that throw', () => {
  test.each(['beforeStep', 'afterStep'] as const)('%s: failed; the next start goes on', async (hook) => {
    const told = { items: 6, faults: [fails(hook, 0, { error: 'other', times: 1 })] };
    const { status, message } = await fixture.run(hook, told);
    expect(status).toBe('failed');
    expect(message).toMatch(new RegExp(`step items failed\\. .*${hook} of item 0 fails as told`, 'u'));
    expect(await standing(instanceOf(hook))).toBe('failed');
    expect((await fixture.run(hook, told)).status).toBe('completed');
    expect(await fixture.effects(hook)).toMatchObject({ writtenCount: 6, written: upTo(6) });
    expect(await fixture.calls(hook, 'process')).toEqual(each(upTo(6)));
  });

  test.each(['beforeStep', 'afterStep'] as const)('%s: a job that holds waits for resume', async (hook) => {
    const faults = [fails(hook, 0, { error: 'other', times: 1 })];
    const handle = await fixture.start(`hold-${hook}`, { faults }, { job: 'fixtureHold' });
    await until(fixture.world, handle.workflowId, 'holding');
    await control(handle, 'resume');
    expect((await endingOf(handle)).status).toBe('completed');
    expect(await fixture.effects(`hold-${hook}`, { job: 'fixtureHold' })).toMatchObject({ written: upTo(5) });
  });
});

describe.concurrent('skips that the ledger has trouble with', () => {
  test('more in one chunk than a statement has parameters for', async () => {
    const told = { items: 7_000, skipEvery: 1, skipLimit: 7_000, chunkSize: 7_000 };
    const { report } = await endingOf(await fixture.world.start('scriptedItems', told));
    expect(report?.steps[0]).toMatchObject({ read: 7_000, skipped: 7_000, written: 0 });
  });

  test('a message that PostgreSQL cannot keep as it is', async () => {
    const faults = [fails('process', 2, { error: 'odd' }), fails('write', 4, { error: 'odd' })];
    expect((await fixture.run('odd', { faults })).status).toBe('completedWithSkips');
    expect(await fixture.effects('odd')).toMatchObject({
      written: [1, 3, 5],
      skips: ['process 2', 'write 4'],
    });
  });

  test('items of one key, in one chunk and in several', async () => {
    const faults = [1, 2, 4].map((item) => fails('process', item));
    const { status } = await fixture.run('one-key', { faults, oneKey: true, skipLimit: 3 });
    expect(status).toBe('completedWithSkips');
    const { rows } = await fixture.pool.query<{ item_key: string }>(
      'SELECT item_key FROM keystride.skip WHERE instance_key = $1 ORDER BY item_key',
      [instanceOf('one-key')],
    );
    expect(rows.map(({ item_key }) => item_key)).toEqual(['0', '0 at ["1"]', '0 at ["3"]']);
    expect((await fixture.effects('one-key', { step: 'none' })).skips).toEqual([]);
  });
});

test('parameters of unusual characters name instances of their own', async () => {
  const runs = ['a b', 'a,b=c:d', 'ü—😀/x', '%25', 'a%2Cb', 'a,b', `it's "so"`, '', 'x'.repeat(2_000)];
  const endings = await Promise.all(
    runs.map((run, at) => fixture.run(run, {}, { workflowId: `named-${at}` })),
  );
  expect(endings.map(({ status }) => status)).toEqual(runs.map(() => 'completed'));
  const { rows } = await fixture.pool.query<{ instances: number }>(
    "SELECT count(*)::int AS instances FROM keystride.instance WHERE owner_workflow_id LIKE 'named-%'",
  );
  expect(rows[0]?.instances).toBe(runs.length);
});
