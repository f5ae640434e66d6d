import { afterAll, beforeAll, expect, test } from 'vitest';
import { addTargets, expectMigrated, ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { run, verify } from '../support/runs.ts';
import { createWorld, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld({
    legacyApi: [
      '--latency=300',
      '--jitter=100',
      '--max-concurrent=50',
      '--too-many=0.05',
      '--unavailable=0.02',
    ],
  });
  stores = openStores(world);
  await world.startWorker();
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

test('an API that takes 50 calls at a time and asks 250 to come back later loses no document', async () => {
  const documents = 500;
  await addTargets(stores, documents);
  expect(await run(world, 'documentMigration', { inFlight: 250 })).toMatchObject({ status: 'completed' });
  const { answers } = (await world.legacyApiStatistics()) as unknown as { answers: Record<string, number> };
  expect(answers['200']).toBe(documents);
  // At first all are out at once; from then on the worker keeps to what the API takes, and what is refused at random is left.
  expect(answers['429']).toBeGreaterThan(20);
  expect(await ledgerCounters(stores, 'fetchAndStore')).toEqual({
    read: documents,
    written: documents,
    filtered: 0,
    skipped: 0,
  });
  expect(await verify(world)).toMatchObject({ verified: true, compared: documents });
  await expectMigrated(stores, { documents });
});
