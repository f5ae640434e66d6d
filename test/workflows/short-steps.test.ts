import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mostWithinTasks } from '../../packages/keystride/src/host/worker-load.ts';
import { each, endingOf, fails, Fixture, instanceOf, type Told, upTo } from '../conformance/fixture.ts';
import { stepOf } from '../support/runs.ts';
import { waitFor } from '../support/stack.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open();
});

afterAll(() => fixture?.close());

/** A step of one chunk whose items may be done again. */
const short: Told = { chunkSize: 10, durableEvery: 'page' };

/** What a run has asked for over the queue. */
async function queuedBy(handle: WorkflowHandle): Promise<string[]> {
  const events = (await handle.fetchHistory()).events ?? [];
  return events.flatMap((event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? []);
}

/** A run that asks for nothing over the queue: of some that are alike, one finds the machine free enough for that. */
async function runWithin(what: string, told: Told) {
  for (let attempt = 1; ; attempt++) {
    const run = `${what}-${attempt}`;
    const handle = await fixture.start(run, told);
    const ending = await endingOf(handle);
    const queued = await queuedBy(handle);
    if (queued.length === 0 || attempt === 10) return { run, handle, queued, ...ending };
  }
}

test('a step of one chunk is done within the workflow task that opens it', async () => {
  const { run, handle, queued, status, report } = await runWithin('short', short);
  expect(status).toBe('completed');
  expect(report && stepOf(report, 'items')).toMatchObject({
    ...{ status: 'completed', read: 5, written: 5, expected: 5, result: null },
    partitions: { total: 1, done: 1, failed: 0 },
  });
  expect(queued).toEqual([]);
  expect((await handle.fetchHistory()).events?.length).toBeLessThanOrEqual(12);
  expect(await fixture.effects(run)).toMatchObject({ read: 5, writtenCount: 5, written: upTo(5) });
  expect(await fixture.calls(run, 'process')).toEqual(each(upTo(5)));
  const again = await endingOf(await fixture.start(run, short, { workflowId: 'short again' }));
  expect(again.type).toBe('JobInstanceAlreadyComplete');
});

test.concurrent.for<[string, Told]>([
  ['has more than a chunk', { ...short, chunkSize: 4 }],
  ['has several partitions', { ...short, partitions: 2, items: 6 }],
  ['calls others with its items', { ...short, durableEvery: 'chunk' }],
])('a step that %s is not', async ([what, told]) => {
  const handle = await fixture.start(what, told);
  expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
  expect(await fixture.calls(what, 'process')).toEqual(each(upTo(told.items ?? 5)));
  const queued = await queuedBy(handle);
  // Partitions are workflows of their own.
  if (told.partitions === undefined) expect(queued).toContain('processPage');
});

test('what it skips and tries again is counted and told as ever', async () => {
  const faults = [fails('process', 2), fails('process', 4, { error: 'reset', times: 1 })];
  const told = { ...short, faults, retries: 1 };
  const { run, queued, status, report } = await runWithin('skips', told);
  expect([status, queued]).toEqual(['completedWithSkips', []]);
  const step = report && stepOf(report, 'items');
  expect(step).toMatchObject({ read: 5, written: 4, skipped: 1 });
  expect(Object.values(step?.retries ?? {})).toEqual([1]);
  expect(await fixture.effects(run)).toMatchObject({ skips: ['process 2'], written: [1, 3, 4, 5] });
});

test.concurrent('a step that has an item that fails for good fails by its page on the queue', async () => {
  const told = { ...short, faults: [fails('process', 3, { error: 'other' })] };
  const handle = await fixture.start('fails', told);
  const ending = await endingOf(handle);
  expect(ending).toMatchObject({ status: 'failed' });
  expect(ending.message).toContain('partition 0');
  expect(await queuedBy(handle)).toContain('processPage');
  const { rows } = await fixture.pool.query('SELECT FROM keystride.dead_letter WHERE instance_key = $1', [
    instanceOf('fails'),
  ]);
  expect(rows).toHaveLength(1);
});

test('what fails to close within is closed by the run, and no page is done again', async () => {
  const told = { ...short, faults: [fails('afterStep', 0, { times: 1 })] };
  const { run, queued, status } = await runWithin('closing', told);
  expect([status, queued]).toEqual(['completed', []]);
  expect(await fixture.effects(run)).toMatchObject({ read: 5, written: upTo(5) });
});

test.concurrent('what takes longer than a task may last is done on the queue, and commits once', async () => {
  await fixture.hold('held', 3);
  const handle = await fixture.start('held', { ...short, heldInWriter: [3] });
  await fixture.reached('held', 'write', 3);
  await waitFor(async () => (await queuedBy(handle)).includes('openStep'), { what: 'the queue' });
  await fixture.release('held');
  expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
  expect(await fixture.effects('held')).toMatchObject({ read: 5, writtenCount: 5, written: upTo(5) });
});

test('a worker that is to take few pages, or by what its machine is busy with, does none within tasks', () => {
  expect(mostWithinTasks({})).toBe(25);
  expect(mostWithinTasks({ activities: 2 })).toBe(0);
  expect(mostWithinTasks({ target: { cpu: 0.8, memory: 0.8 } })).toBe(0);
});
