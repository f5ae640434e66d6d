import { afterAll, beforeAll, expect, test } from 'vitest';
import { ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { failureOf, run, stepOf } from '../support/runs.ts';
import { createWorld, testJobsWorker, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld({ workerProgram: testJobsWorker });
  stores = openStores(world);
  await world.startWorker();
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

async function skipRows(instance: string): Promise<number> {
  const { rows } = await stores.migration.query<{ count: string }>(
    'SELECT count(*) FROM keystride.skip WHERE instance_key LIKE $1',
    [`${instance}%`],
  );
  return Number(rows[0]?.count);
}

// 200 items of which each tenth is skipped: 20 skips, spread over all partitions.
const script = { items: 200, skipEvery: 10, chunkSize: 10 };

test.for([1, 4])('as many skips as the limit allows commit, with %i partitions', async (partitions) => {
  const report = await run(world, 'scriptedItems', { ...script, run: partitions, partitions, skipLimit: 20 });
  expect(report.status).toBe('completedWithSkips');
  expect(stepOf(report, 'pass')).toMatchObject({ read: 200, written: 180, skipped: 20, filtered: 0 });
  expect(await skipRows(`scriptedItems:run=${partitions},`)).toBe(20);
});

test.for([1, 4])(
  'one more fails the step, and its chunk does not commit, with %i partitions',
  async (partitions) => {
    await stores.migration.query('TRUNCATE keystride.instance CASCADE');
    await stores.migration.query('TRUNCATE keystride.checkpoint, keystride.skip');
    const handle = await world.start('scriptedItems', {
      ...script,
      run: 10 + partitions,
      partitions,
      skipLimit: 19,
    });
    const { type, message } = await failureOf(handle);
    expect(type).toBe('StepFailed');
    expect(message).toMatch(/19 items are skipped and 1 more would exceed the limit of 19/);
    expect(message).toContain(`scriptedItems:run=${10 + partitions},`);
    expect(await skipRows(`scriptedItems:run=${10 + partitions},`)).toBe(19);
    // Each chunk of ten has one skip: what committed is whole chunks.
    expect(await ledgerCounters(stores, 'pass')).toMatchObject({ read: 190, written: 171, skipped: 19 });

    // Whoever raises the limit goes on where it stopped.
    const again = await run(world, 'scriptedItems', {
      ...script,
      run: 10 + partitions,
      partitions,
      skipLimit: 20,
    });
    expect(stepOf(again, 'pass')).toMatchObject({ read: 200, written: 180, skipped: 20 });
  },
);
