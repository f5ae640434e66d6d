import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  addTargets,
  configureLegacyApi,
  emptyTarget,
  expectMigrated,
  ledgerCounters,
  openStores,
  ticketKey,
  type Stores,
} from '../support/migration.ts';
import { failureOf, run, stepOf } from '../support/runs.ts';
import { createWorld, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld({ legacyApi: ['--latency=30', '--jitter=20'] });
  stores = openStores(world);
  await world.startWorker();
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

beforeEach(async () => {
  await emptyTarget(world, stores);
  await configureLegacyApi(world, { overrides: {} });
});

const large = 17 * 2 ** 20;

test('every document is stored once or expected to fail, whatever its size, with as many calls as keys', async () => {
  await addTargets(stores, 200);
  await configureLegacyApi(world, {
    overrides: {
      [ticketKey(3)]: '404',
      [ticketKey(50)]: '404',
      [ticketKey(51)]: '400',
      [ticketKey(120)]: 'UNSUPPORTED_FORMAT',
      [ticketKey(77)]: '17MiB',
    },
  });
  const report = await run(world, 'documentMigration', { inFlight: 40 });
  expect(report).toMatchObject({ status: 'completedWithSkips', instance: 'documentMigration:run=1' });
  expect(stepOf(report, 'fetchAndStore')).toMatchObject({
    status: 'completed',
    expected: 200,
    read: 200,
    readSkipped: 0,
    filtered: 0,
    written: 196,
    skipped: 4,
  });
  expect(stepOf(report, 'verify')).toMatchObject({
    status: 'completed',
    result: { compared: 200, differences: 0 },
  });
  const { calls, keys, repeatedCalls, peakInFlight } = await world.legacyApiStatistics();
  expect({ calls, keys, repeatedCalls }).toEqual({ calls: 200, keys: 200, repeatedCalls: 0 });
  expect(peakInFlight).toBeLessThanOrEqual(40);
  expect(peakInFlight).toBeGreaterThan(20);
  await expectMigrated(stores, {
    documents: 200,
    expectedFaults: { 3: 1, 50: 1, 51: 2, 120: 3 },
    sizes: { 77: large },
  });
  const { rows } = await stores.migration.query(
    `SELECT item_key, phase, code, status, attempts FROM keystride.skip ORDER BY item_key::bigint`,
  );
  expect(rows).toEqual([
    { item_key: '3', phase: 'process', code: 'NOT_FOUND', status: 'open', attempts: 1 },
    { item_key: '50', phase: 'process', code: 'NOT_FOUND', status: 'open', attempts: 1 },
    { item_key: '51', phase: 'process', code: 'BAD_REQUEST', status: 'open', attempts: 1 },
    { item_key: '120', phase: 'process', code: 'UNSUPPORTED_FORMAT', status: 'open', attempts: 1 },
  ]);
  expect(await ledgerCounters(stores, 'fetchAndStore')).toEqual({
    read: 200,
    written: 196,
    filtered: 0,
    skipped: 4,
  });
  const files = await stores.mongo.collection('sentences.files').find({}).toArray();
  expect(files).toMatchObject([{ metadata: { ticketKey: ticketKey(77), contentType: 'application/json' } }]);
});

test('a run without a target completes and stores nothing', async () => {
  expect(await run(world, 'documentMigration')).toMatchObject({ status: 'completed' });
  await expectMigrated(stores, { documents: 0 });
});

test('answers that pass when they are asked for again cost a retry each and no document', async () => {
  await addTargets(stores, 60);
  const passing = ['503*1', '500*2', 'reset*1', 'truncate*1', 'invalid-json*1', '429*2'];
  await configureLegacyApi(world, {
    retryAfter: 1,
    overrides: Object.fromEntries(passing.map((fault, index) => [ticketKey(10 * index + 5), fault])),
  });
  expect(await run(world, 'documentMigration')).toMatchObject({ status: 'completed' });
  await expectMigrated(stores, { documents: 60 });
  expect((await world.legacyApiStatistics()).repeatedCalls).toBe(8);
});

test('a domain rule that nobody knows fails the step, by key and instance, and the next start goes on', async () => {
  await addTargets(stores, 60);
  await configureLegacyApi(world, { overrides: { [ticketKey(55)]: 'A_NEW_RULE' } });
  const { type, message } = await failureOf(await world.start('documentMigration', { run: 7 }));
  expect(type).toBe('StepFailed');
  expect(message).toMatch(
    /documentMigration:run=7 step fetchAndStore .*partition 0, process of key 55 .*422 A_NEW_RULE/,
  );
  expect(await ledgerCounters(stores, 'fetchAndStore')).toMatchObject({ read: 50, written: 50 });

  await configureLegacyApi(world, { overrides: {} });
  expect(await run(world, 'documentMigration', { run: 7 })).toMatchObject({ status: 'completed' });
  await expectMigrated(stores, { documents: 60 });
});

test.for(['invalid-json', 'truncate', 'wrong-shape'])(
  'a body that stays %s fails the step after its retries, and nothing of its chunk commits',
  async (fault) => {
    await addTargets(stores, 120);
    await configureLegacyApi(world, { overrides: { [ticketKey(70)]: fault } });
    const { type, message } = await failureOf(await world.start('documentMigration'));
    expect(type).toBe('StepFailed');
    expect(message).toMatch(
      /documentMigration:run=1 step fetchAndStore .*key 70 \(attempt 4\).*MALFORMED_BODY/,
    );
    expect(await ledgerCounters(stores, 'fetchAndStore')).toMatchObject({ read: 50, written: 50 });
    const { rows } = await stores.migration.query(
      'SELECT max(id) AS last FROM migration_target WHERE migrated',
    );
    expect(rows).toEqual([{ last: '50' }]);
    const calls = await callsOf(70);
    expect(calls).toBe(4);

    await configureLegacyApi(world, { overrides: {} });
    expect(await run(world, 'documentMigration')).toMatchObject({ status: 'completed' });
    await expectMigrated(stores, { documents: 120 });
  },
);

/** Calls beyond the first of the one key that was called more than once, and that first one. */
async function callsOf(_number: number): Promise<number> {
  const { repeatedCalls, keysCalledMoreThanOnce } = await world.legacyApiStatistics();
  expect(keysCalledMoreThanOnce).toBe(1);
  return repeatedCalls + 1;
}

test.for([
  ['whose clock goes on', 0],
  ['whose clock is behind the one that was lost', 1e12],
])(
  'a ledger that was restored, %s, finds what a lost run has written, and writes above it',
  async ([, ahead]) => {
    await addTargets(stores, 60);
    await run(world, 'documentMigration');
    // The store keeps what the ledger has forgotten: another content, of a later epoch, under higher numbers.
    const lost = await stores.mongo
      .collection('sentence_extract')
      .updateMany(
        {},
        { $set: { epoch: 9, sha256: 'of-the-lost-run', sentences: [] }, $inc: { fence: Number(ahead) } },
      );
    expect(lost.modifiedCount).toBe(60);
    await stores.migration.query(
      `UPDATE migration_target SET migrated = false, preprocess_id = NULL;
       TRUNCATE preprocess_job, keystride.instance CASCADE`,
    );
    expect(await run(world, 'documentMigration')).toMatchObject({ status: 'completed' });
    await expectMigrated(stores, { documents: 60 });
    await stores.migration.query('TRUNCATE keystride.fence');
  },
);
