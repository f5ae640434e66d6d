import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { addTargets, ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { control, failureOf, reportOf, stepOf, until } from '../support/runs.ts';
import { createWorld, testJobsWorker, waitFor, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;
let run = 0;

beforeAll(async () => {
  world = await createWorld({ workerProgram: testJobsWorker });
  stores = openStores(world);
  await world.startWorker();
  await addTargets(stores, targets);
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

beforeEach(async () => {
  run += 1;
  await stores.migration.query(
    'TRUNCATE keystride.instance CASCADE; UPDATE migration_target SET member_id = 0',
  );
});

const targets = 2_050;
const books = { read: targets, written: targets / 2, filtered: targets / 2, skipped: 0 };

/** How many targets have been incremented how often. */
async function incremented(): Promise<Record<string, number>> {
  const { rows } = await stores.migration.query<{ times: string; found: number }>(
    'SELECT member_id AS times, count(*)::int AS found FROM migration_target GROUP BY 1',
  );
  return Object.fromEntries(rows.map(({ times, found }) => [times, found]));
}

const half = { 0: targets / 2, 1: targets / 2 };

test.for([1, 4])(
  'a set step over %d partitions writes each row once, and its books balance',
  async (partitions) => {
    const report = await reportOf(await world.start('incrementTargets', { run, partitions }));
    expect(stepOf(report, 'increment')).toMatchObject({ status: 'completed', ...books });
    expect(await incremented()).toEqual(half);
  },
);

test('a worker is killed in the middle of a statement, and again: nothing is done twice', async () => {
  const parameters = { run, seconds: 0.2, partitions: 2, pageSeconds: 1 };
  const handle = await world.start('incrementTargets', parameters);
  for (const least of [200, 1_000]) {
    await waitFor(async () => (await ledgerCounters(stores, 'increment')).read >= least);
    const [worker] = world.workers;
    await worker?.kill('SIGKILL');
    await worker?.restart();
  }
  expect(stepOf(await reportOf(handle), 'increment')).toMatchObject(books);
  expect(await incremented()).toEqual(half);
});

test('pause lets the statement in hand commit; resume goes on behind it', async () => {
  const handle = await world.start('incrementTargets', { run, seconds: 0.1 });
  await waitFor(async () => (await ledgerCounters(stores, 'increment')).read > 0);
  await control(handle, 'pause', 'test');
  await until(world, handle.workflowId, 'paused');
  const { read, written } = await ledgerCounters(stores, 'increment');
  expect(read % 100).toBe(0);
  expect((await incremented())['1'] ?? 0).toBe(written);
  await control(handle, 'resume');
  expect(stepOf(await reportOf(handle), 'increment')).toMatchObject(books);
  expect(await incremented()).toEqual(half);
});

test('a statement that fails for good ends the step and names the range; a restart finishes', async () => {
  await stores.migration.query(
    "ALTER TABLE migration_target ADD CONSTRAINT refused CHECK (member_id = 0 OR ticket_key NOT LIKE '%01204') NOT VALID",
  );
  const failed = await failureOf(await world.start('incrementTargets', { run }));
  expect(failed.message).toMatch(/write of key range up to \d+ .*SQLSTATE_23514/);
  const { read } = await ledgerCounters(stores, 'increment');
  expect(read % 100).toBe(0);
  expect(read).toBeLessThan(targets);
  await stores.migration.query('ALTER TABLE migration_target DROP CONSTRAINT refused');
  const report = await reportOf(await world.start('incrementTargets', { run }));
  expect(stepOf(report, 'increment')).toMatchObject(books);
  expect(await incremented()).toEqual(half);
});
