import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import {
  addTargets,
  configureLegacyApi,
  emptyTarget,
  expectMigrated,
  openStores,
  ticketKey,
  type Stores,
} from '../support/migration.ts';
import { failureOf, reportOf, run, stepOf, verify } from '../support/runs.ts';
import { createWorld, testJobsWorker, waitFor, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld({ legacyApi: ['--latency=10'], workerProgram: testJobsWorker });
  stores = openStores(world);
  await world.startWorker();
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

beforeEach(async () => {
  await emptyTarget(world, stores);
  await configureLegacyApi(world, { overrides: {}, latency: 10 });
});

const instance = 'documentMigration:run=1';

/** Those that lose a worker wait for its heartbeat to be missed. */
const slow = 90_000;

/** Overrides of the stub: the number of the document → what it meets. */
function faults(byNumber: Readonly<Record<number, string>>): { overrides: Record<string, string> } {
  return {
    overrides: Object.fromEntries(
      Object.entries(byNumber).map(([number, fault]) => [ticketKey(Number(number)), fault]),
    ),
  };
}

async function skips(): Promise<{ key: string; status: string; attempts: number }[]> {
  const { rows } = await stores.migration.query<{ key: string; status: string; attempts: number }>(
    `SELECT item_key AS key, status, attempts FROM keystride.skip ORDER BY item_key::bigint`,
  );
  return rows;
}

async function instances(): Promise<Record<string, unknown>[]> {
  const { rows } = await stores.migration.query<Record<string, unknown>>(
    `SELECT instance_key AS instance, status, redrives, epoch::int FROM keystride.instance ORDER BY opened_at`,
  );
  return rows;
}

/** Runs a migration of which the documents from 1 to `missing` are not found. */
async function migrateWithMissing(documents: number, missing: number, inFlight = 20): Promise<void> {
  await addTargets(stores, documents);
  const gone = Array.from({ length: missing }, (_, index) => [index + 1, '404']);
  await configureLegacyApi(world, faults(Object.fromEntries(gone)));
  expect(await run(world, 'documentMigration', { inFlight })).toMatchObject({ status: 'completedWithSkips' });
  await configureLegacyApi(world, { overrides: {} });
}

test('what succeeds now is migrated and its skip closed; what fails again stays open; the target verifies', async () => {
  await addTargets(stores, 120);
  const before = { 3: '404', 50: '404', 51: '400', 77: '404', 100: 'UNSUPPORTED_FORMAT' };
  await configureLegacyApi(world, faults(before));
  await run(world, 'documentMigration');
  await configureLegacyApi(world, faults({ 51: '404' }));

  const report = await run(world, 'redrive', { instance });
  expect(report).toMatchObject({
    job: 'redrive',
    instance: `${instance}/redrive-1`,
    status: 'completedWithSkips',
    parameters: { instance, steps: ['fetchAndStore'] },
  });
  expect(stepOf(report, 'fetchAndStore')).toMatchObject({ expected: 5, read: 5, written: 4, skipped: 1 });
  expect(await skips()).toEqual([
    { key: '3', status: 'redriven', attempts: 1 },
    { key: '50', status: 'redriven', attempts: 1 },
    { key: '51', status: 'open', attempts: 2 },
    { key: '77', status: 'redriven', attempts: 1 },
    { key: '100', status: 'redriven', attempts: 1 },
  ]);
  const { rows } = await stores.migration.query('SELECT code FROM keystride.skip WHERE item_key = $1', [
    '51',
  ]);
  expect(rows, 'as it failed this time').toEqual([{ code: 'NOT_FOUND' }]);
  await expectMigrated(stores, { documents: 120, expectedFaults: { 51: 1 } });
  expect(await verify(world)).toMatchObject({ verified: true, compared: 120 });
  expect(await instances()).toEqual([
    { instance, status: 'completed', redrives: null, epoch: 1 },
    { instance: `${instance}/redrive-1`, status: 'completed', redrives: instance, epoch: 2 },
  ]);

  await configureLegacyApi(world, { overrides: {} });
  expect(await run(world, 'redrive', { instance })).toMatchObject({
    instance: `${instance}/redrive-2`,
    status: 'completed',
  });
  await expectMigrated(stores, { documents: 120 });
  expect(await verify(world)).toMatchObject({ verified: true });
  const nothing = await failureOf(await world.start('redrive', { instance }));
  expect(nothing).toMatchObject({ type: 'NothingToRedrive' });
  expect(nothing.message).toContain(instance);
  expect(await instances(), 'a refused redrive leaves nothing').toHaveLength(3);
});

test('a fingerprint, or keys, choose which skips are run', async () => {
  await addTargets(stores, 60);
  await configureLegacyApi(world, faults({ 3: '404', 10: '404', 20: '404', 30: '400' }));
  await run(world, 'documentMigration');
  await configureLegacyApi(world, { overrides: {} });
  const { rows } = await stores.migration.query<{ fingerprint: string }>(
    `SELECT fingerprint FROM keystride.skip WHERE code = 'BAD_REQUEST'`,
  );
  const byCause = await run(world, 'redrive', { instance, fingerprint: rows[0]?.fingerprint });
  expect(stepOf(byCause, 'fetchAndStore')).toMatchObject({ read: 1, written: 1 });
  await expectMigrated(stores, { documents: 60, expectedFaults: { 3: 1, 10: 1, 20: 1 } });
  const byKey = await run(world, 'redrive', { instance, keys: ['10', '20', '30'] });
  expect(stepOf(byKey, 'fetchAndStore')).toMatchObject({ read: 2, written: 2 });
  await expectMigrated(stores, { documents: 60, expectedFaults: { 3: 1 } });
});

test('an item that is no longer there stays open, and says so', async () => {
  await migrateWithMissing(20, 3);
  await stores.migration.query('DELETE FROM migration_target WHERE id = 2');
  await stores.migration.query('DELETE FROM expected_migration_target WHERE migration_target_id = 2');
  const report = await run(world, 'redrive', { instance });
  expect(stepOf(report, 'fetchAndStore')).toMatchObject({ read: 2, readSkipped: 1, written: 2, skipped: 1 });
  const { rows } = await stores.migration.query(
    `SELECT item_key, phase, code FROM keystride.skip WHERE status = 'open'`,
  );
  expect(rows).toEqual([{ item_key: '2', phase: 'read', code: 'NO_LONGER_THERE' }]);
});

test(
  'a worker killed in the middle: the redrive goes on by itself, and closes each skip once',
  async () => {
    await migrateWithMissing(220, 200, 10);
    await configureLegacyApi(world, { latency: 150 });
    const handle = await world.start('redrive', { instance });
    await waitFor(async () => (await skips()).some(({ status }) => status === 'redriven'));
    const [worker] = world.workers;
    await worker?.kill('SIGKILL');
    const closed = (await skips()).filter(({ status }) => status === 'redriven').length;
    expect(closed).toBeGreaterThan(0);
    expect(closed).toBeLessThan(200);
    await worker?.restart();
    const report = await reportOf(handle);
    expect(report.status).toBe('completed');
    expect(stepOf(report, 'fetchAndStore')).toMatchObject({ read: 200, written: 200, skipped: 0 });
    await expectMigrated(stores, { documents: 220 });
    expect((await skips()).every(({ status }) => status === 'redriven')).toBe(true);
  },
  slow,
);

test(
  'a second redrive is refused while one runs; what a stopped one left is taken by the next',
  async () => {
    await migrateWithMissing(200, 150, 10);
    await configureLegacyApi(world, { latency: 200 });
    const first = await world.start('redrive', { instance }, 'first');
    await waitFor(async () => (await skips()).some(({ status }) => status === 'redriven'));
    expect(await failureOf(await world.start('redrive', { instance }))).toMatchObject({
      type: 'JobExecutionAlreadyRunning',
      message: expect.stringContaining('first') as string,
    });
    await first.executeUpdate('stop', { args: [{}] });
    const stopped = await reportOf(first);
    expect(stopped.status).toBe('stopped');
    const { written } = stepOf(stopped, 'fetchAndStore');
    const second = await run(world, 'redrive', { instance });
    expect(second).toMatchObject({ instance: `${instance}/redrive-2`, status: 'completed' });
    expect(stepOf(second, 'fetchAndStore')).toMatchObject({ read: 150 - written, written: 150 - written });
    await expectMigrated(stores, { documents: 200 });
  },
  slow,
);

test(
  'a frozen worker of a terminated redrive wakes up after its items were waived, and commits nothing',
  async () => {
    await migrateWithMissing(200, 150, 10);
    await configureLegacyApi(world, { latency: 200 });
    const [ghost] = world.workers;
    const handle = await world.start('redrive', { instance });
    await waitFor(async () => (await skips()).some(({ status }) => status === 'redriven'));
    await ghost?.kill('SIGSTOP');
    try {
      await handle.terminate('the worker hangs');
      const words = ['skips', instance, 'waive', '--reason', 'not wanted any more', '-o', 'json'];
      const waived = (await keystride(words, world.environment)).json() as { waived: number };
      const redriven = (await skips()).filter(({ status }) => status === 'redriven').length;
      expect(waived.waived).toBe(150 - redriven);
      await ghost?.kill('SIGCONT');
      await waitFor(async () => (await readFile(ghost?.logFile ?? '', 'utf8')).includes('have been waived'));
      const { rows } = await stores.migration.query(
        `SELECT count(*) FILTER (WHERE status = 'redriven')::int AS redriven,
              count(*) FILTER (WHERE status = 'waived')::int AS waived,
              (SELECT count(*)::int FROM expected_migration_target) AS expected,
              (SELECT count(*)::int FROM preprocess_job) AS stored
         FROM keystride.skip`,
      );
      expect(rows).toEqual([
        { redriven, waived: 150 - redriven, expected: 150 - redriven, stored: 50 + redriven },
      ]);
    } finally {
      await ghost?.kill('SIGCONT');
    }
  },
  slow,
);

test('items of a list are read again by their index, in several partitions', async () => {
  const parameters = { items: 100, skipEvery: 5, skipLimit: 100, chunkSize: 5, partitions: 3 };
  await run(world, 'scriptedItems', parameters);
  const scripted = (await instances())[0]?.['instance'] as string;
  const report = await run(world, 'redrive', { instance: scripted });
  expect(stepOf(report, 'pass')).toMatchObject({
    read: 20,
    written: 0,
    skipped: 20,
    partitions: { total: 3, done: 3 },
  });
  expect((await skips()).every(({ status, attempts }) => status === 'open' && attempts === 2)).toBe(true);
});

test('what cannot be redriven is refused by name', async () => {
  expect(await failureOf(await world.start('redrive', { instance: 'nothing' }))).toMatchObject({
    type: 'JobParametersInvalid',
    message: expect.stringContaining('nothing') as string,
  });
  expect(await failureOf(await world.start('redrive', { instances: 'x' }))).toMatchObject({
    type: 'JobParametersInvalid',
  });
  await migrateWithMissing(5, 1);
  await run(world, 'redrive', { instance });
  expect(await failureOf(await world.start('redrive', { instance: `${instance}/redrive-1` }))).toMatchObject({
    type: 'JobParametersInvalid',
    message: expect.stringContaining('itself a redrive') as string,
  });
});
