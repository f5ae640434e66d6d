import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createDemoOrders, type DemoOrdersOptions } from '../../src/demo-data/orders.ts';
import { emptyTarget, ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { failureOf, reportOf, run, stepOf } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

const parameters = { deliveredBefore: '2025-10-01' };
const instance = 'purchaseConfirmation:deliveredBefore=2025-10-01';

beforeAll(async () => {
  world = await createWorld();
  stores = openStores(world);
  // A day begins in UTC, wherever the database lives: the worker connects after this.
  const { pathname } = new URL(world.databaseUrl);
  await stores.migration.query(
    `ALTER DATABASE ${pg.escapeIdentifier(pathname.slice(1))} SET timezone = 'America/New_York'`,
  );
  await world.startWorker();
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

beforeEach(async () => {
  await emptyTarget(world, stores);
  await stores.migration.query('TRUNCATE orders RESTART IDENTITY');
});

function makeOrders(options: Omit<DemoOrdersOptions, 'databaseUrl'>) {
  return createDemoOrders({ databaseUrl: world.databaseUrl, deliveredShare: 1, ...options });
}

async function numberOf(condition: string): Promise<number> {
  const { rows } = await stores.migration.query<{ orders: number }>(
    `SELECT count(*)::int AS orders FROM orders WHERE ${condition}`,
  );
  return rows[0]?.orders ?? Number.NaN;
}

/** The wrong way: skips as many open orders as it has confirmed, because those are no longer in the list. */
async function confirmByOffset(page: number): Promise<void> {
  for (let offset = 0; ; offset += page) {
    const { rowCount } = await stores.migration.query(
      `UPDATE orders SET purchase_confirmed_at = now() WHERE id IN (
         SELECT id FROM orders WHERE purchase_confirmed_at IS NULL AND delivered_at < '2025-10-01T00:00:00Z'
          ORDER BY id LIMIT $1 OFFSET $2)`,
      [page, offset],
    );
    if (rowCount === 0) return;
  }
}

test('of 100,000 orders paging by offset misses half, the job none', async () => {
  await makeOrders({ count: 100_000 });
  await confirmByOffset(1000);
  expect(await numberOf('purchase_confirmed_at IS NULL')).toBe(50_000);

  await stores.migration.query('UPDATE orders SET purchase_confirmed_at = NULL');
  const report = await run(world, 'purchaseConfirmation', parameters);
  expect(report).toMatchObject({ status: 'completed', instance });
  expect(stepOf(report, 'confirm')).toMatchObject({ read: 100_000, written: 100_000, skipped: 0 });
  expect(await numberOf('purchase_confirmed_at IS NULL')).toBe(0);
});

test('only what was delivered before the day, in UTC, and is not confirmed', async () => {
  await stores.migration.query(
    `INSERT INTO orders (customer_id, amount, status, delivered_at, purchase_confirmed_at) VALUES
       (1, 100, 'DELIVERED', '2025-09-30 23:59:59.999999Z', NULL),
       (1, 0, 'DELIVERED', '2025-09-30 23:59:59.999999Z', NULL),
       (1, 100, 'DELIVERED', '2025-10-01 00:00:00Z', NULL),
       (1, 100, 'SHIPPED', NULL, NULL),
       (1, 100, 'DELIVERED', '2025-09-01Z', '2025-09-02Z')`,
  );
  const report = await run(world, 'purchaseConfirmation', parameters);
  expect(stepOf(report, 'confirm')).toMatchObject({ read: 2, written: 2 });
  const { rows } = await stores.migration.query(
    `SELECT id::int, purchase_confirmed_at < '2025-10-01Z' AS before FROM orders
      WHERE purchase_confirmed_at IS NOT NULL ORDER BY id`,
  );
  expect(rows).toEqual([
    { id: 1, before: false },
    { id: 2, before: false },
    { id: 5, before: true },
  ]);
});

test('an order with a negative amount is set aside by name, and confirmed when it is put right', async () => {
  await makeOrders({ count: 5000, negativeEvery: 1000 });
  const report = await run(world, 'purchaseConfirmation', parameters);
  expect(report.status).toBe('completedWithSkips');
  expect(stepOf(report, 'confirm')).toMatchObject({ read: 5000, written: 4995, skipped: 5 });
  expect(await numberOf('(purchase_confirmed_at IS NULL) <> (amount < 0)')).toBe(0);
  const { rows } = await stores.migration.query(
    `SELECT item_key, code, phase, status FROM keystride.skip ORDER BY item_key::bigint`,
  );
  expect(rows).toEqual(
    [1000, 2000, 3000, 4000, 5000].map((id) => ({
      item_key: String(id),
      code: 'NEGATIVE_AMOUNT',
      phase: 'process',
      status: 'open',
    })),
  );

  await stores.migration.query('UPDATE orders SET amount = -amount WHERE id IN (1000, 2000)');
  const redriven = await run(world, 'redrive', { instance });
  expect(stepOf(redriven, 'confirm')).toMatchObject({ read: 5, written: 2, skipped: 3 });
  expect(await numberOf('purchase_confirmed_at IS NULL')).toBe(3);
});

test('more of them than a hundred end the step, and nothing beyond the limit is recorded', async () => {
  await makeOrders({ count: 500, negativeEvery: 4 });
  const { type, message } = await failureOf(await world.start('purchaseConfirmation', parameters));
  // The partitions fail one by one; the step tells why.
  expect(type).toBe('StepFailed');
  expect(message).toContain(`${instance} step confirm`);
  expect(message).toContain('SkipLimitExceeded');
  expect((await ledgerCounters(stores, 'confirm')).skipped).toBeLessThanOrEqual(100);
});

test('a run that failed goes on where it stopped: no order is confirmed twice', async () => {
  await makeOrders({ count: 20_000 });
  await stores.migration.query(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'order % is locked', NEW.id; END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON orders FOR EACH ROW WHEN (OLD.id = 17777) EXECUTE FUNCTION refuse()`);
  const inOneRange = { ...parameters, partitions: 1 };
  const failed = await failureOf(await world.start('purchaseConfirmation', inOneRange));
  expect(failed.message).toMatch(/SQLSTATE P0001\): function refuse line 1/u);
  expect(failed.message).not.toContain('17777');
  const committed = await numberOf('purchase_confirmed_at IS NOT NULL');
  expect(committed, 'three chunks of 5,000').toBe(15_000);
  expect((await ledgerCounters(stores, 'confirm')).written).toBe(committed);
  const { rows } = await stores.migration.query<{ at: string }>('SELECT now()::text AS at');

  await stores.migration.query('DROP TRIGGER refuse ON orders; DROP FUNCTION refuse()');
  const report = await run(world, 'purchaseConfirmation', parameters);
  expect(stepOf(report, 'confirm')).toMatchObject({ read: 20_000, written: 20_000 });
  expect(await numberOf('purchase_confirmed_at IS NULL')).toBe(0);
  expect(await numberOf(`purchase_confirmed_at <= '${rows[0]?.at}'`)).toBe(committed);
});

async function waitingForLock(): Promise<number> {
  const { rowCount } = await stores.migration.query(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  );
  return rowCount ?? 0;
}

test('a customer who confirms during the run keeps the time; a second start is refused then and afterwards', async () => {
  await makeOrders({ count: 100 });
  const customer = new pg.Client({ connectionString: world.databaseUrl });
  await customer.connect();
  await customer.query(`BEGIN; UPDATE orders SET purchase_confirmed_at = '2025-09-09Z' WHERE id = 5`);
  const first = await world.start('purchaseConfirmation', parameters);
  await waitFor(async () => (await waitingForLock()) > 0, { what: 'the job to wait for the customer' });
  const second = await failureOf(await world.start('purchaseConfirmation', parameters));
  expect(second.type).toBe('JobExecutionAlreadyRunning');
  await customer.query('COMMIT');
  await customer.end();

  expect(stepOf(await reportOf(first), 'confirm')).toMatchObject({ read: 100, written: 99, filtered: 1 });
  expect(await numberOf(`purchase_confirmed_at = '2025-09-09Z'`)).toBe(1);
  expect(await numberOf('purchase_confirmed_at IS NULL')).toBe(0);
  const third = await failureOf(await world.start('purchaseConfirmation', { ...parameters, partitions: 2 }));
  expect(third.type).toBe('JobInstanceAlreadyComplete');
});
