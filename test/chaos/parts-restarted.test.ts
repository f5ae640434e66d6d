import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import {
  addTargets,
  configureLegacyApi,
  emptyTarget,
  expectMigrated,
  ledgerCounters,
  openStores,
  type Stores,
} from '../support/migration.ts';
import { seededRandom } from '../support/random.ts';
import { verify } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld({ ownServers: true, legacyApi: ['--latency=400', '--jitter=200'] });
  stores = openStores(world);
  await world.startWorker();
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

/** A page goes on while Temporal is away: so many that it is not through when a busy machine has it back. */
const documents = 1_200;
const inFlight = 50;

beforeEach(async () => {
  await emptyTarget(world, stores);
  await configureLegacyApi(world, { latency: 400, jitter: 200 });
  await addTargets(stores, documents);
});

/** Starts the migration, lets something happen in the middle of it, and finds everything done once. */
async function survives(what: string, happening: () => Promise<unknown>): Promise<void> {
  const random = seededRandom(what);
  const { workflowId } = await world.start('documentMigration', { inFlight });
  await waitFor(async () => (await ledgerCounters(stores, 'fetchAndStore')).read > 0);
  await delay(random.between(0, 1_500));
  await happening();
  expect((await ledgerCounters(stores, 'fetchAndStore')).read, 'in the middle').toBeLessThan(documents);
  await completed(workflowId);
  await expectAllWritten('fetchAndStore', documents);
  expect(await verify(world)).toMatchObject({ verified: true, compared: documents });
  await expectMigrated(stores, { documents });
}

async function expectAllWritten(step: string, items: number): Promise<void> {
  expect(await ledgerCounters(stores, step)).toEqual({
    read: items,
    written: items,
    filtered: 0,
    skipped: 0,
  });
}

/** The client's own connection may be down for a moment: ask until there is an answer. */
async function completed(workflowId: string): Promise<void> {
  const status = await waitFor(
    async () => {
      const { status: found } = await world.client.workflow.getHandle(workflowId).describe();
      return found.name !== 'RUNNING' && found.name;
    },
    { timeoutMs: 120_000, everyMs: 250, what: `the end of ${workflowId}` },
  );
  if (status !== 'COMPLETED') await world.client.workflow.getHandle(workflowId).result();
  expect(status).toBe('COMPLETED');
}

test('PostgreSQL is killed and comes back', () =>
  survives('PostgreSQL restarted', async () => {
    await world.servers.postgres.kill('SIGKILL');
    await delay(1_500);
    await world.servers.postgres.restart();
  }));

test('PostgreSQL is killed while commits do not wait for its disk', async () => {
  const orders = 400_000;
  await createDemoOrders({ databaseUrl: world.databaseUrl, count: orders, deliveredShare: 1, reset: true });
  await stores.migration.query(countConfirmations);
  const { workflowId } = await world.start('purchaseConfirmation', { deliveredBefore: '2025-10-01' });
  await waitFor(async () => (await ledgerCounters(stores, 'confirm')).read > 0, { everyMs: 20 });
  await world.servers.postgres.kill('SIGKILL');
  await world.servers.postgres.restart();
  expect((await ledgerCounters(stores, 'confirm')).read, 'in the middle').toBeLessThan(orders);
  await completed(workflowId);
  await expectAllWritten('confirm', orders);
  const { rows } = await stores.migration.query(
    `SELECT count(*)::int AS confirmed, count(DISTINCT order_id)::int AS orders FROM confirmation`,
  );
  expect(rows).toEqual([{ confirmed: orders, orders }]);
});

/** A row each time that an order is confirmed. */
const countConfirmations = `
  CREATE TABLE confirmation (order_id bigint);
  CREATE FUNCTION count_confirmations() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO confirmation SELECT id FROM confirmed; RETURN NULL; END';
  CREATE TRIGGER count_confirmations AFTER UPDATE ON orders REFERENCING NEW TABLE AS confirmed
    FOR EACH STATEMENT EXECUTE FUNCTION count_confirmations();`;

test('PostgreSQL ends every connection', () =>
  survives('connections ended', () =>
    stores.migration.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keystride'`,
    ),
  ));

test('MongoDB is killed and comes back', () =>
  survives('MongoDB restarted', async () => {
    await world.servers.mongodb.kill('SIGKILL');
    await delay(2_000);
    await world.servers.mongodb.restart();
  }));

test('Temporal is killed and comes back', () =>
  survives('Temporal restarted', async () => {
    await world.servers.temporal.kill('SIGKILL');
    await delay(2_000);
    await world.servers.temporal.restart();
  }));

test('the legacy API is down for 20 seconds', () =>
  survives('legacy API down', async () => {
    await world.stubs['legacyApi']?.kill('SIGKILL');
    await delay(20_000);
    await world.stubs['legacyApi']?.restart();
  }));
