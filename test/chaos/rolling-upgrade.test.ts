import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { migrateLedger, migrateTables } from '../../packages/keystride/src/ledger/migrate.ts';
import { emptyDatabase, ownMigrations, type TestDatabase } from '../support/database.ts';
import { historiesOf, pagesOf, type RunHistory, refusalsIn } from '../support/history.ts';
import { releasedBuild, type ReleasedBuild } from '../support/released-build.ts';
import { reportOf, stepOf } from '../support/runs.ts';
import { createWorld, type TestWorker, waitFor, type World } from '../support/stack.ts';

/** A million with KEYSTRIDE_LONG=1. */
const orders = process.env['KEYSTRIDE_LONG'] === '1' ? 1_000_000 : 500_000;

const [partitions, chunkSize] = [4, 5_000];

/** What a chunk takes while builds change, in seconds: the run must not end before them. */
const slowly = 4;

let world: World;
let database: TestDatabase;
let client: pg.Client;
let released: ReleasedBuild;

beforeAll(async () => {
  world = await createWorld();
  released = await releasedBuild(path.join(inject('keystride').bundles, `released-${process.pid}`));
  database = await emptyDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await released.keystride(['migrate', '--only', 'migration'], {
    ...process.env,
    DATABASE_URL: database.url,
  });
  await createDemoOrders({ databaseUrl: database.url, count: orders, deliveredShare: 1 });
  await noteConfirmations();
});

afterAll(async () => {
  await client?.end();
  await world?.dispose();
  await database?.drop();
});

/** Has every order noted that is confirmed, as often as it is, and has each chunk take the time of `pace`. */
async function noteConfirmations(): Promise<void> {
  await client.query(`
    CREATE TABLE confirmation (order_id bigint NOT NULL);
    CREATE TABLE pace (seconds float NOT NULL);
    INSERT INTO pace VALUES (${slowly});
    CREATE FUNCTION note_confirmation() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO confirmation SELECT id FROM changed;
      PERFORM pg_sleep(seconds) FROM pace;
      RETURN NULL;
    END $$;
    CREATE TRIGGER note_confirmation AFTER UPDATE ON public.orders REFERENCING NEW TABLE AS changed
      FOR EACH STATEMENT EXECUTE FUNCTION note_confirmation()`);
}

function startWorker({ program, environment }: Partial<ReleasedBuild['worker']> = {}): Promise<TestWorker> {
  return world.startWorker({
    ...(program && { program }),
    environment: { ...environment, DATABASE_URL: database.url },
  });
}

async function confirmed(): Promise<{ times: number; orders: number }> {
  const { rows } = await client.query<{ times: number; orders: number }>(
    'SELECT count(*)::int AS times, count(DISTINCT order_id)::int AS orders FROM confirmation',
  );
  return rows[0] ?? { times: 0, orders: 0 };
}

/** Waits until so many more orders are confirmed: whoever works now has committed some. */
async function moreConfirmed(least = 2 * chunkSize): Promise<void> {
  const before = (await confirmed()).times;
  await waitFor(async () => (await confirmed()).times >= before + least, { what: 'chunks to commit' });
}

/** Workflow tasks that have failed, and why. */
function refusals(histories: readonly RunHistory[]): string[] {
  return histories.flatMap(({ events }) => refusalsIn(events));
}

test('a run of the last release goes through a rolling upgrade: ledger first, then a worker after the other', async () => {
  const old = [await startWorker(released.worker), await startWorker(released.worker)];
  const parameters = { deliveredBefore: '2025-10-01', partitions };
  const handle = await world.start('purchaseConfirmation', parameters);
  await moreConfirmed();

  // 1. The ledger and the tables, under the load of the old workers, which go on.
  expect(await migrateLedger(database.url)).not.toEqual([]);
  await migrateTables(database.url, ownMigrations('target'));
  await moreConfirmed();

  // 2. New workers beside the old ones. A run that begins now may meet either.
  const young = await startWorker();
  const meanwhile = await world.start('evenNumbers', {});
  await moreConfirmed();

  // 3. The old ones drain.
  const [oldPids, youngPid] = [old.map(({ pid }) => pid), young.pid];
  await old[0]?.stop();
  await startWorker();
  await moreConfirmed();
  await old[1]?.stop();
  await moreConfirmed();
  expect((await confirmed()).times, 'it is in the middle').toBeLessThan(orders);
  await client.query('UPDATE pace SET seconds = 0');

  const report = await reportOf(handle);
  expect(report.status).toBe('completed');
  expect(stepOf(report, 'confirm')).toMatchObject({ read: orders, written: orders, skipped: 0 });
  expect(await confirmed()).toEqual({ times: orders, orders });
  expect((await reportOf(meanwhile)).status).toBe('completed');

  const histories = await historiesOf(world.client, handle.workflowId);
  expect(refusals([...histories, ...(await historiesOf(world.client, meanwhile.workflowId))])).toEqual([]);
  const workers = new Set(histories.flatMap(pagesOf).map(({ worker }) => worker));
  const worked = (one: number | undefined) => [...workers].some((worker) => worker.startsWith(`${one}@`));
  expect([oldPids.some(worked), worked(youngPid)], [...workers].join(' ')).toEqual([true, true]);
});
