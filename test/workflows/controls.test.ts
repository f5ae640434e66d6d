import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  addTargets,
  configureLegacyApi,
  emptyTarget,
  expectMigrated,
  ledgerCounters,
  openStores,
  repeatedCalls,
  type Stores,
} from '../support/migration.ts';
import { control, failureOf, reportOf, run, stepOf, until } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld();
  stores = openStores(world);
  await world.startWorker();
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

const documents = 300;
const inFlight = 20;
const instance = 'documentMigration:run=1';

beforeEach(async () => {
  await emptyTarget(world, stores);
  await configureLegacyApi(world, { latency: 300 });
  await addTargets(stores, documents);
});

// A test that fails leaves nothing running for the next one to trip over.
afterEach(() =>
  world.client.workflow
    .getHandle(instance)
    .terminate()
    .catch(() => undefined),
);

/** Starts the migration and waits until some of it has committed, and much has not. */
async function startedMigration() {
  const handle = await world.start('documentMigration', { inFlight }, instance);
  await waitFor(async () => (await ledgerCounters(stores, 'fetchAndStore')).read >= 50);
  return handle;
}

async function standing() {
  return {
    calls: (await world.legacyApiStatistics()).calls,
    ...(await ledgerCounters(stores, 'fetchAndStore')),
  };
}

/** Goes on with what is left, and finds everything done once. */
async function expectContinues(): Promise<void> {
  await configureLegacyApi(world, { latency: 20 });
  const report = await run(world, 'documentMigration', { inFlight });
  expect(report).toMatchObject({ status: 'completed', instance });
  expect(stepOf(report, 'fetchAndStore')).toMatchObject({ read: documents, written: documents });
  await expectMigrated(stores, { documents });
}

test('pause lets the calls in flight commit, then nothing proceeds until resume', async () => {
  const handle = await startedMigration();
  const asked = performance.now();
  expect(await control(handle, 'pause', 'lunch')).toEqual({ status: 'pausing' });
  const paused = await until(world, instance, 'paused');
  expect(performance.now() - asked).toBeLessThan(6_000);
  expect(paused.reason).toBe('lunch');
  const before = await standing();
  expect(before.read, 'all that was called for has committed').toBe(before.calls);
  expect(before.read).toBeLessThan(documents);
  await delay(1_500);
  expect(await standing()).toEqual(before);

  await configureLegacyApi(world, { latency: 20 });
  expect(await control(handle, 'resume')).toEqual({ status: 'running' });
  expect(await reportOf(handle)).toMatchObject({ status: 'completed' });
  expect(await repeatedCalls(world)).toBe(0);
  await expectMigrated(stores, { documents });
});

test('stop lets the calls in flight commit, ends with a report, and the next start goes on', async () => {
  const handle = await startedMigration();
  expect(await control(handle, 'stop', 'going home')).toEqual({ status: 'stopping' });
  const report = await reportOf(handle);
  expect(report).toMatchObject({ status: 'stopped', reason: 'going home' });
  const { read } = await ledgerCounters(stores, 'fetchAndStore');
  expect(read).toBeLessThan(documents);
  await expectContinues();
  expect(await repeatedCalls(world)).toBe(0);
});

test('a paused job can be stopped, and a control that makes no sense is refused', async () => {
  const handle = await startedMigration();
  await expect(control(handle, 'resume')).rejects.toThrow(WorkflowUpdateFailedError);
  await control(handle, 'pause');
  await until(world, instance, 'paused');
  await expect(control(handle, 'pause')).rejects.toMatchObject({
    cause: { type: 'ControlRefused', message: 'documentMigration is paused: it cannot pause now.' },
  });
  await control(handle, 'stop');
  expect(await reportOf(handle)).toMatchObject({ status: 'stopped' });
  await expectContinues();
});

test('cancelling the workflow is a stop: it ends as cancelled, and the next start goes on', async () => {
  const handle = await startedMigration();
  await handle.cancel();
  const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(WorkflowFailedError);
  expect((error as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
  expect((await handle.describe()).status.name).toBe('CANCELLED');
  const { rows } = await stores.migration.query('SELECT status FROM keystride.instance');
  expect(rows).toEqual([{ status: 'stopped' }]);
  await expectContinues();
  expect(await repeatedCalls(world)).toBe(0);
});

test('terminating the workflow loses nothing: the next start repeats only what had not committed', async () => {
  const handle = await startedMigration();
  await handle.terminate('by a test');
  // The page that is still running hears of it with its next heartbeat; the new run shuts it out at once.
  await expectContinues();
  const repeated = await repeatedCalls(world);
  // In flight, and what waits in the chunks behind: reader to commit holds two chunks and a half at most.
  expect(repeated).toBeLessThanOrEqual(3 * 50 + inFlight);
});

test('a second start right after a termination, under another id, goes on too', async () => {
  const handle = await startedMigration();
  await handle.terminate('by a test');
  await configureLegacyApi(world, { latency: 20 });
  const report = await reportOf(await world.start('documentMigration', { inFlight }, 'after-termination'));
  expect(report).toMatchObject({ status: 'completed' });
  await expectMigrated(stores, { documents });
});

test('a failed run is continued by the next start, with other parameters that identify nothing', async () => {
  await configureLegacyApi(world, { latency: 20, overrides: { 'T-0000222': 'A_NEW_RULE' } });
  const handle = await world.start('documentMigration', { inFlight }, instance);
  expect(await failureOf(handle)).toMatchObject({ type: 'StepFailed' });
  const { rows } = await stores.migration.query('SELECT status FROM keystride.instance');
  expect(rows).toEqual([{ status: 'failed' }]);
  await configureLegacyApi(world, { overrides: {} });
  const report = await reportOf(await world.start('documentMigration', { inFlight: 5 }, instance));
  expect(report).toMatchObject({ status: 'completed' });
  await expectMigrated(stores, { documents });
});
