import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  addTargets,
  configureLegacyApi,
  emptyTarget,
  expectMigrated,
  openStores,
  type Stores,
} from '../support/migration.ts';
import { failureOf, reportOf, run, until } from '../support/runs.ts';
import { createWorld, type World } from '../support/stack.ts';

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

beforeEach(async () => {
  await emptyTarget(world, stores);
  await configureLegacyApi(world, { latency: 300 });
  await addTargets(stores, 100);
});

const instance = 'documentMigration:run=1';

async function instances(): Promise<{ status: string; owner_workflow_id: string; epoch: string }[]> {
  const { rows } = await stores.migration.query<{ status: string; owner_workflow_id: string; epoch: string }>(
    'SELECT status, owner_workflow_id, epoch FROM keystride.instance',
  );
  return rows;
}

test('the same workflow id is refused by Temporal while it runs', async () => {
  const first = await world.start('documentMigration', { inFlight: 20 }, instance);
  const second = world.start('documentMigration', { inFlight: 20 }, instance);
  await expect(second).rejects.toThrow(WorkflowExecutionAlreadyStartedError);
  expect(await reportOf(first)).toMatchObject({ status: 'completed' });
});

test('another workflow id is refused by name, and the first run is not disturbed', async () => {
  const first = await world.start('documentMigration', { inFlight: 20 }, instance);
  await until(world, instance, 'running');
  const { type, message } = await failureOf(
    await world.start('documentMigration', { inFlight: 9 }, 'another'),
  );
  expect(type).toBe('JobExecutionAlreadyRunning');
  expect(message).toContain(`${instance} is running already, as workflow ${instance}`);
  expect(message).toContain(`keystride status ${instance}`);
  expect(await reportOf(first)).toMatchObject({ status: 'completed' });
  expect(await instances()).toEqual([{ status: 'completed', owner_workflow_id: instance, epoch: '1' }]);
  expect((await world.legacyApiStatistics()).repeatedCalls).toBe(0);
  await expectMigrated(stores, { documents: 100 });
});

test('a completed instance is refused, whatever the id and the parameters that identify nothing', async () => {
  await configureLegacyApi(world, { latency: 0 });
  await run(world, 'documentMigration');
  const again = await failureOf(await world.start('documentMigration', { inFlight: 7 }, 'another'));
  expect(again.type).toBe('JobInstanceAlreadyComplete');
  expect(again.message).toContain(`${instance} has completed`);
  expect((await world.legacyApiStatistics()).repeatedCalls).toBe(0);
  // The next run is another instance.
  expect(await run(world, 'documentMigration', { run: 2 })).toMatchObject({ status: 'completed' });
});

test('of ten starts at once under ids of their own, one runs', async () => {
  const handles = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      world.start('documentMigration', { inFlight: 20 }, `start-${index}`),
    ),
  );
  const ends = await Promise.allSettled(handles.map((handle) => reportOf(handle)));
  const reports = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
  expect(reports).toMatchObject([{ status: 'completed' }]);
  const refused = handles.filter((_, index) => ends[index]?.status === 'rejected');
  expect(refused).toHaveLength(9);
  const winner = reports[0]?.workflowId ?? '';
  for (const handle of refused) {
    const { type, message } = await failureOf(handle);
    expect(type).toMatch(/^JobExecutionAlreadyRunning$|^JobInstanceAlreadyComplete$/);
    if (type === 'JobExecutionAlreadyRunning') expect(message).toContain(`as workflow ${winner}`);
  }
  expect(await instances()).toEqual([{ status: 'completed', owner_workflow_id: winner, epoch: '1' }]);
  expect((await world.legacyApiStatistics()).repeatedCalls).toBe(0);
  await expectMigrated(stores, { documents: 100 });
});

test('parameters that are wrong are refused, each by name, before anything is written', async () => {
  const handle = await world.start('documentMigration', { run: 0, inFlight: 'many', colour: 'red' });
  const { type, message } = await failureOf(handle);
  expect(type).toBe('JobParametersInvalid');
  expect(message).toMatch(
    /documentMigration cannot start.*run: .*inFlight: .*colour.*It takes: run, inFlight/,
  );
  expect(message).toContain('Nothing was written');
  expect(await instances()).toEqual([]);
  expect((await world.legacyApiStatistics()).calls).toBe(0);

  const mode = await failureOf(await world.start('targetSync', { mode: 'sideways' }));
  expect(mode).toMatchObject({ type: 'JobParametersInvalid', message: expect.stringContaining('mode: ') });
  expect(await instances()).toEqual([]);
});
