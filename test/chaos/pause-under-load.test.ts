import { setTimeout as delay } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { type HistoryEvent, historiesOf } from '../support/history.ts';
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

/** The control of a job that a history has accepted with this event. */
function acceptedControl({
  workflowExecutionUpdateAcceptedEventAttributes: accepted,
}: HistoryEvent): string | null | undefined {
  return accepted?.acceptedRequest?.input?.name;
}

/** For each pause of a run: whether something of it came to rest after it had been answered, and before it went on. */
async function answeredBeforeRest({ workflowId }: WorkflowHandle): Promise<boolean[]> {
  const [run] = await historiesOf(world.client, workflowId);
  const events = run?.events ?? [];
  const isPause = (id: unknown) =>
    events.some((event) => String(event.eventId) === String(id) && acceptedControl(event) === 'pause');
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

/** Whether a page or a partition begins with this event. */
function begins(event: HistoryEvent): boolean {
  const { activityTaskScheduledEventAttributes: page, startChildWorkflowExecutionInitiatedEventAttributes } =
    event;
  return (
    page?.activityType?.name === 'processPage' || Boolean(startChildWorkflowExecutionInitiatedEventAttributes)
  );
}

/**
 * Pages and partitions that began though their workflow had been paused, or asked by the job to come to rest, and was not
 * resumed: by the order of each history, since a partition hears of a pause later than the job.
 */
async function startedWhilePaused({ workflowId }: WorkflowHandle): Promise<HistoryEvent[]> {
  const found: HistoryEvent[] = [];
  for (const { events } of await historiesOf(world.client, workflowId)) {
    let paused = false;
    for (const event of events) {
      const asked = acceptedControl(event);
      if (asked === 'resume') paused = false;
      else if (asked || event.workflowExecutionCancelRequestedEventAttributes) paused = true;
      else if (paused && begins(event)) found.push(event);
    }
  }
  return found;
}

test('a pause is answered before what both workers have in hand has come to rest, and nothing new begins', async () => {
  const handles = await Promise.all([
    world.start('purchaseConfirmation', { deliveredBefore: '2025-10-01' }),
    world.start('documentMigration', { inFlight: 300 }),
  ]);
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
    await Promise.all(handles.map(({ workflowId }) => until(world, workflowId, 'paused')));
    const rest = await standing();
    await delay(700);
    expect(await standing()).toEqual(rest);
    await Promise.all(handles.map((handle) => control(handle, 'resume')));
  }
  await control(handles[1], 'stop');
  const [confirmed, migrated] = await Promise.all(handles.map(reportOf));
  expect(confirmed).toMatchObject({ status: 'completed', steps: [{ read: orders, written: orders }] });
  expect(migrated).toMatchObject({ status: 'stopped' });
  for (const handle of handles) {
    expect(await startedWhilePaused(handle)).toEqual([]);
    expect(await answeredBeforeRest(handle)).toEqual([true, true]);
  }
});
