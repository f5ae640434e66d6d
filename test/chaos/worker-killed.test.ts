import { setTimeout as delay } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  addTargets,
  configureLegacyApi,
  emptyTarget,
  expectMigrated,
  ledgerCounters,
  openStores,
  repeatedCalls,
  ticketKey,
  type Stores,
} from '../support/migration.ts';
import { timeoutsOf } from '../support/history.ts';
import { seededRandom } from '../support/random.ts';
import { reportOf, stepOf, verify } from '../support/runs.ts';
import { createWorld, waitFor, type TestWorker, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld();
  stores = openStores(world);
  await world.startWorker();
  await world.startWorker();
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

const inFlight = 50;
const chunkSize = 50;
const expectedFaults = { 100: 1, 300: 2, 301: 3 };

let documents: number;

async function prepare(count: number, latency: number): Promise<void> {
  documents = count;
  await emptyTarget(world, stores);
  await addTargets(stores, documents);
  const overrides = {
    [ticketKey(100)]: '404',
    [ticketKey(300)]: '400',
    [ticketKey(301)]: 'UNSUPPORTED_FORMAT',
  };
  await configureLegacyApi(world, { latency, jitter: 200, overrides });
}

/** Keys that were called and have not committed: in flight, or waiting in an uncommitted chunk. */
async function uncommitted(): Promise<number> {
  const { keys } = await world.legacyApiStatistics();
  return keys - (await ledgerCounters(stores, 'fetchAndStore')).read;
}

async function expectComplete(): Promise<void> {
  const counters = { read: documents, written: documents - 3, skipped: 3, filtered: 0 };
  expect(await ledgerCounters(stores, 'fetchAndStore')).toEqual(counters);
  expect(await verify(world)).toMatchObject({ verified: true, compared: documents, differences: 0 });
  await expectMigrated(stores, { documents, expectedFaults });
}

/** The worker that has the page. */
async function pageHolder(handle: WorkflowHandle): Promise<TestWorker> {
  return waitFor(
    async () => {
      const { raw } = await handle.describe();
      const page = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'processPage');
      return world.workers.find(({ pid }) => page?.lastWorkerIdentity?.startsWith(`${pid}@`));
    },
    { what: 'a worker that has the page' },
  );
}

/** Waits until so many more documents have committed, or the job is through. */
async function progressed(byAtLeast: number): Promise<void> {
  const { read } = await ledgerCounters(stores, 'fetchAndStore');
  await waitFor(
    async () => {
      const now = (await ledgerCounters(stores, 'fetchAndStore')).read;
      return now >= Math.min(read + byAtLeast, documents);
    },
    // A worker that is frozen is known to be so after three quarters of a minute.
    { timeoutMs: 120_000 },
  );
}

test('five kills at random moments: nothing lost, nothing doubled, and only the uncommitted called again', async () => {
  await prepare(1000, 500);
  const random = seededRandom('five kills');
  const handle = await world.start('documentMigration', { inFlight });
  let mayRepeat = 0;
  for (let kill = 1; kill <= 5; kill++) {
    await progressed(1);
    await delay(random.between(0, 1_200));
    const holder = await pageHolder(handle);
    await holder.kill('SIGKILL');
    const open = await uncommitted();
    // Reader to commit holds two chunks and a half; at most three more are prepared.
    expect(open).toBeLessThanOrEqual(2 * Math.max(inFlight, chunkSize) + 4 * chunkSize);
    mayRepeat += open;
    // The other one takes the page over meanwhile.
    await holder.restart();
  }
  const report = await reportOf(handle);
  expect(report.status).toBe('completedWithSkips');
  expect(stepOf(report, 'fetchAndStore')).toMatchObject({
    read: documents,
    written: documents - 3,
    skipped: 3,
  });
  const repeated = await repeatedCalls(world);
  console.log(`${repeated} calls repeated; ${mayRepeat} were uncommitted at the kills`);
  expect(repeated).toBeLessThanOrEqual(mayRepeat);
  await expectComplete();
});

test('the page of a dead worker is taken over by another when its heartbeats end', async () => {
  await prepare(400, 500);
  const handle = await world.start('documentMigration', { inFlight });
  await progressed(1);
  const holder = await pageHolder(handle);
  await holder.kill('SIGKILL');
  expect((await reportOf(handle)).status).toBe('completedWithSkips');
  // Its silence was what told, long before the page's own time had passed.
  expect(await timeoutsOf(world.client, handle.workflowId, 'processPage')).toEqual(['HEARTBEAT']);
  await holder.restart();
  await expectComplete();
});

test('workers that are rolled finish what they have in hand, and repeat nothing', async () => {
  await prepare(600, 1000);
  const handle = await world.start('documentMigration', { inFlight });
  for (let roll = 0; roll < 3; roll++) {
    await progressed(1);
    const worker = world.workers[roll % 2];
    await worker?.stop();
    await worker?.restart();
  }
  expect((await reportOf(handle)).status).toBe('completedWithSkips');
  expect(await repeatedCalls(world)).toBeLessThanOrEqual(3 * inFlight);
  console.log(`${await repeatedCalls(world)} calls repeated by three rolls`);
  await expectComplete();
});

test('a worker that freezes past its time-out and wakes up commits nothing more', async () => {
  await prepare(400, 500);
  const [first, second] = world.workers;
  await second?.stop();
  const handle = await world.start('documentMigration', { inFlight });
  await progressed(1);
  await first?.kill('SIGSTOP');
  await second?.restart();
  await progressed(1);
  await first?.kill('SIGCONT');
  expect((await reportOf(handle)).status).toBe('completedWithSkips');
  // How many calls the ghost makes before it learns what it is depends on the machine; what counts is what commits.
  console.log(`${await repeatedCalls(world)} calls repeated by a frozen worker`);
  await expectComplete();
  const { rows } = await stores.migration.query<{ twice: string }>(
    'SELECT count(*) - count(DISTINCT ticket_key) AS twice FROM preprocess_job',
  );
  expect(rows).toEqual([{ twice: '0' }]);
});
