import { setTimeout as delay } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { type HistoryEvent, historiesOf, msOf } from '../support/history.ts';
import {
  addTargets,
  configureLegacyApi,
  ledgerCounters,
  openStores,
  type Stores,
} from '../support/migration.ts';
import { control, reportOf, until } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

const orders = 600_000;
const documents = 3_000;

beforeAll(async () => {
  world = await createWorld();
  stores = openStores(world);
  await world.startWorker();
  await world.startWorker();
  await addTargets(stores, documents);
  await createDemoOrders({ databaseUrl: world.databaseUrl, count: orders, deliveredShare: 1 });
  await configureLegacyApi(world, { latency: 250, jitter: 200, hang: 0.005 });
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

/** What each job has done. A call that hangs keeps documents from their commit, and nothing from being called. */
async function standing() {
  const { calls } = await world.legacyApiStatistics();
  return { confirmed: (await ledgerCounters(stores, 'confirm')).read, calls };
}

/** For each pause of a run: whether something of it came to rest after it had been answered, and before it went on. */
async function answeredBeforeRest({ workflowId }: WorkflowHandle): Promise<boolean[]> {
  const [run] = await historiesOf(world.client, workflowId);
  const events = run?.events ?? [];
  const isPause = (id: unknown) =>
    events.some(
      ({ eventId, workflowExecutionUpdateAcceptedEventAttributes: accepted }) =>
        String(eventId) === String(id) && accepted?.acceptedRequest?.input?.name === 'pause',
    );
  return events.flatMap(({ workflowExecutionUpdateCompletedEventAttributes: answered }, index) => {
    if (!answered || !isPause(answered.acceptedEventId)) return [];
    const after = events.slice(index + 1);
    const next = after.findIndex((event) => event.workflowExecutionUpdateAcceptedEventAttributes);
    return [after.slice(0, next < 0 ? undefined : next).some(hasEnded)];
  });
}

/** Whether a page or a partition has ended with this event. */
function hasEnded(event: HistoryEvent): boolean {
  const ended =
    event.activityTaskCompletedEventAttributes ??
    event.activityTaskCanceledEventAttributes ??
    event.childWorkflowExecutionCompletedEventAttributes ??
    event.childWorkflowExecutionCanceledEventAttributes;
  return ended !== null && ended !== undefined;
}

/** Pages that began though a pause had been answered and nobody had resumed, in all workflows of a run. */
async function startedWhilePaused(handle: WorkflowHandle, paused: readonly (readonly [number, number])[]) {
  const events = (await historiesOf(world.client, handle.workflowId)).flatMap((run) => run.events);
  return events
    .filter((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'processPage')
    .filter((event) => paused.some(([from, to]) => msOf(event) > from && msOf(event) < to));
}

test('a pause is answered before what both workers have in hand has come to rest, and nothing new begins', async () => {
  const handles = await Promise.all([
    world.start('purchaseConfirmation', { deliveredBefore: '2025-10-01' }),
    world.start('documentMigration', { inFlight: 300 }),
  ]);
  const paused: (readonly [number, number])[] = [];
  for (let round = 1; round <= 2; round++) {
    const before = await standing();
    await waitFor(
      async () => {
        const { confirmed, calls } = await standing();
        return confirmed > before.confirmed && calls > before.calls + 100;
      },
      { what: 'both jobs to go on' },
    );
    for (const answer of await Promise.all(handles.map((handle) => control(handle, 'pause', 'a test'))))
      expect(answer).toEqual({ status: 'pausing' });
    const from = Date.now();
    await Promise.all(handles.map(({ workflowId }) => until(world, workflowId, 'paused')));
    const rest = await standing();
    await delay(700);
    expect(await standing()).toEqual(rest);
    paused.push([from, Date.now()]);
    await Promise.all(handles.map((handle) => control(handle, 'resume')));
  }
  await control(handles[1], 'stop');
  const [confirmed, migrated] = await Promise.all(handles.map(reportOf));
  expect(confirmed).toMatchObject({ status: 'completed', steps: [{ read: orders, written: orders }] });
  expect(migrated).toMatchObject({ status: 'stopped' });
  for (const handle of handles) {
    expect(await startedWhilePaused(handle, paused)).toEqual([]);
    expect(await answeredBeforeRest(handle)).toEqual([true, true]);
  }
});
