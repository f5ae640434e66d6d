import { afterAll, beforeAll, expect, test } from 'vitest';
import { addTargets, ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { createWorld, type TestWorker, waitFor, type World } from '../support/stack.ts';

// A document of 12 MB takes FerretDB seconds: as many as fit into two minutes, all of them when there is time.
const long = process.env['KEYSTRIDE_LONG'] === '1';
const documents = long ? 300 : 60;
const bound = 900 * 2 ** 20;

let world: World;
let stores: Stores;
let worker: TestWorker;

beforeAll(async () => {
  world = await createWorld({ legacyApi: ['--latency=200', '--sizes=12MB'] });
  stores = openStores(world);
  worker = await world.startWorker({ environment: { KEYSTRIDE_BYTES_IN_FLIGHT: '256MiB' } });
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

test(
  `${documents} documents of 12 MB, all called for at once, in a worker of less than 900 MB`,
  { timeout: long ? 45 * 60_000 : 6 * 60_000 },
  async () => {
    await addTargets(stores, documents);
    const handle = await world.start('documentMigration', { inFlight: 300 });
    let highest = 0;
    const look = setInterval(() => {
      void worker.residentBytes().then((resident) => (highest = Math.max(highest, resident)));
    }, 200);
    try {
      await waitFor(async () => (await ledgerCounters(stores, 'fetchAndStore')).written === documents, {
        timeoutMs: long ? 40 * 60_000 : 5 * 60_000,
        everyMs: 500,
        what: 'all documents written',
      });
    } finally {
      clearInterval(look);
      console.log(`${documents} documents of 12 MB: at most ${Math.round(highest / 2 ** 20)} MiB resident`);
    }
    expect(highest).toBeGreaterThan(0);
    expect(highest).toBeLessThan(bound);
    const { rows } = await stores.migration.query(
      'SELECT count(*)::int AS stored FROM migration_target JOIN preprocess_job ON preprocess_job.id = preprocess_id WHERE migrated',
    );
    expect(rows).toEqual([{ stored: documents }]);
    // FerretDB would take minutes to read them all again for the verification.
    await handle.terminate('the documents are stored');
  },
);
