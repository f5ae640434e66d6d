import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDemoCoupons } from '../../src/demo-data/coupons.ts';
import { createDemoDocuments } from '../../src/demo-data/documents.ts';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { createDemoPoints } from '../../src/demo-data/points.ts';
import { keyProblems } from '../../packages/keystride/src/stores/postgres/key-columns.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { createWorld, type World } from '../support/stack.ts';
import { keystride } from './support.ts';

let world: World;
let pool: pg.Pool;

beforeAll(async () => {
  world = await createWorld();
  pool = createPool(world.databaseUrl, 'keystride test', 4);
});

afterAll(async () => {
  await pool?.end();
  await world?.dispose();
});

function plan(...words: string[]) {
  return keystride(['plan', ...words, '-o', 'json'], world.environment);
}

/** Everything that a run could have left. */
async function traces(): Promise<unknown> {
  const { rows } = await pool.query(
    `SELECT (SELECT count(*) FROM orders WHERE purchase_confirmed_at IS NOT NULL) AS confirmed,
            (SELECT count(*) FROM coupon) AS coupons, (SELECT count(*) FROM outbox) AS messages,
            (SELECT count(*) FROM keystride.instance) AS instances, (SELECT count(*) FROM keystride.skip) AS skips,
            (SELECT md5(string_agg(member_coupon::text, ',' ORDER BY id)) FROM member_coupon) AS member_coupons`,
  );
  return rows[0];
}

test('it tells rows, partitions, samples and a prediction, and leaves nothing behind', async () => {
  await createDemoOrders({ databaseUrl: world.databaseUrl, count: 30_000, seed: 'plan' });
  const before = await traces();
  const result = await plan('purchaseConfirmation', '--param', 'deliveredBefore=2030-01-01', '--rows', '2');
  expect(result.exitCode, result.stderr).toBe(0);
  const { rows } = await pool.query<{ open: number }>(
    `SELECT count(*)::int AS open FROM orders
      WHERE purchase_confirmed_at IS NULL AND delivered_at < '2030-01-01'`,
  );
  const forecast = result.json() as {
    steps: [{ tried: { read: number; written: number; samples: unknown[] } }];
  };
  expect(forecast).toMatchObject({
    instance: 'purchaseConfirmation:deliveredBefore=2030-01-01',
    steps: [{ step: 'confirm', kind: 'chunk', rows: rows[0]?.open, partitions: 4, problems: [] }],
  });
  const [{ tried }] = forecast.steps;
  expect(tried.read).toBeGreaterThan(0);
  expect(tried.samples).toHaveLength(2);
  expect(JSON.stringify(tried.samples)).not.toContain('keystride_key');
  expect(await traces()).toEqual(before);
});

test('a step sees what those before it have written; nobody is sent a message', async () => {
  await createDemoCoupons({ databaseUrl: world.databaseUrl, count: 200, seed: 'plan' });
  const before = await traces();
  const parameters = {
    name: 'new',
    description: 'd',
    amountType: 'FIX',
    amount: '1000',
    expiredCouponId: '1',
  };
  const words = Object.entries(parameters).flatMap(([name, value]) => ['--param', `${name}=${value}`]);
  const result = await plan('couponExchange', ...words);
  expect(result.exitCode, result.stderr + result.stdout).toBe(0);
  const [create, exchange, notify] = (result.json() as { steps: { tried: object; rows: number }[] }).steps;
  expect(create).toMatchObject({ problems: [] });
  expect(exchange).toMatchObject({ problems: [], tried: { filtered: 0 } });
  expect(notify).toMatchObject({ problems: [], tried: { read: 0 } });
  expect(notify?.rows).toBeGreaterThan(0);
  expect(await traces()).toEqual(before);
  const stats = (await (await fetch(`${world.messageProviderUrl}/stats`)).json()) as { received: number };
  expect(stats.received).toBe(0);
});

test('what a tasklet returns reaches the steps after it, and none is judged by half of the work', async () => {
  const { databaseUrl, sourceDatabaseUrl } = world;
  await createDemoDocuments({ sourceDatabaseUrl, count: 50, seed: 'plan' });
  const sync = await plan('targetSync');
  expect(sync.exitCode, sync.stderr + sync.stdout).toBe(0);
  expect(sync.json()).toMatchObject({
    steps: [{ step: 'begin' }, { step: 'copy', rows: 50 }, { step: 'sweep' }, { step: 'remember' }, {}],
  });
  await createDemoPoints({ databaseUrl, count: 5_000, seed: 'plan' });
  const settlement = await plan('pointSettlement', '--param', 'date=2025-10-01');
  const { steps } = settlement.json() as { steps: { step: string; problems: string[]; notTried?: string }[] };
  expect(steps.flatMap(({ problems }) => problems)).toEqual([]);
  expect(steps.at(-1)).toMatchObject({ step: 'total', problems: [], notTried: expect.any(String) });
  const { rows } = await pool.query(`SELECT FROM keystride.instance`);
  expect(rows).toEqual([]);
});

test('a step that would fail is told, with its reason', async () => {
  await pool.query(
    `ALTER TABLE orders ADD CONSTRAINT unconfirmed CHECK (purchase_confirmed_at IS NULL) NOT VALID`,
  );
  const result = await plan('purchaseConfirmation', '--param', 'deliveredBefore=2030-01-01');
  await pool.query('ALTER TABLE orders DROP CONSTRAINT unconfirmed');
  expect(result.exitCode).toBe(1);
  expect(result.json()).toMatchObject({ steps: [{ problems: [expect.stringContaining('unconfirmed')] }] });
});

test('a key without an index is named, with the statement that makes one', async () => {
  await pool.query(`CREATE TABLE keyed (a int NOT NULL, b int NOT NULL, c int NOT NULL, PRIMARY KEY (a, b))`);
  expect(await keyProblems(pool, 'keyed', ['a', 'b'])).toEqual([]);
  expect(await keyProblems(pool, 'keyed', ['a'])).toEqual([]);
  expect(await keyProblems(pool, 'keyed', ['c'])).toEqual([
    expect.stringContaining('CREATE INDEX CONCURRENTLY ON keyed (c)'),
  ]);
  expect(await keyProblems(pool, 'keyed', ['b', 'a'])).toHaveLength(1);
  await pool.query(`CREATE INDEX ON keyed (((a + b)), c) INCLUDE (a)`);
  expect(await keyProblems(pool, 'keyed', ['c'])).toEqual([]);
  expect(await keyProblems(pool, 'keyed', ['c', 'a'])).toHaveLength(1);
});
