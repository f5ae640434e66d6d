import path from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { addTargets, expectGoneOn, ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { releasedBuild, type ReleasedBuild } from '../support/released-build.ts';
import { control, until } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

const documents = 200;

let world: World;
let stores: Stores;
let released: ReleasedBuild;

beforeAll(async () => {
  released = await releasedBuild(path.join(inject('keystride').bundles, `previous-${process.pid}`));
  world = await createWorld({ legacyApi: ['--latency=200'] });
  stores = openStores(world);
  await addTargets(stores, documents);
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

function hasRead(least: number): Promise<boolean> {
  return waitFor(async () => (await ledgerCounters(stores, 'fetchAndStore')).read >= least, {
    what: `${least} documents to be read`,
  });
}

test('a run that workers of the last release have begun is ended by the present ones', async () => {
  const before = await world.startWorker(released.worker);
  const handle = await world.start('documentMigration', { inFlight: 10 });
  await hasRead(1);
  await control(handle, 'pause', 'to have it in the history');
  await until(world, handle.workflowId, 'paused');
  await control(handle, 'resume');
  const { read } = await ledgerCounters(stores, 'fetchAndStore');
  await hasRead(read + 1);
  await before.kill();
  expect((await ledgerCounters(stores, 'fetchAndStore')).read, 'it is in the middle').toBeLessThan(documents);

  await world.startWorker();
  await expectGoneOn(handle, stores, documents);
});
