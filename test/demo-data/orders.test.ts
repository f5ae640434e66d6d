import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { testDatabase } from '../support/database.ts';

let database: Awaited<ReturnType<typeof testDatabase>>;
let client: pg.Client;

beforeAll(async () => {
  database = await testDatabase('target');
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
}, 60_000);

afterAll(async () => {
  await client.end();
  await database.drop();
});

const readRows = async () =>
  (await client.query<Record<string, string>>('select * from orders order by id')).rows;

test('the same seed makes the same rows, another seed makes others', async () => {
  const databaseUrl = database.url;
  const fill = (seed: string) => createDemoOrders({ databaseUrl, count: 1000, seed, reset: true });
  const made = await fill('one');
  const rows = await readRows();
  await fill('one');
  expect(await readRows()).toEqual(rows);
  await fill('two');
  expect(await readRows()).not.toEqual(rows);

  expect(made).toEqual({ orders: 1000, unconfirmed: rows.filter((row) => row['delivered_at']).length });
  expect(made.unconfirmed).toBeGreaterThan(900);
  expect(made.unconfirmed).toBeLessThan(1000);
  expect(rows.every(({ amount }) => Number(amount) > 0)).toBe(true);
});

test('a second call adds what is missing and nothing else; what comes after it gets the next id', async () => {
  const databaseUrl = database.url;
  await createDemoOrders({ databaseUrl, count: 10, reset: true });
  const first = await readRows();
  const all = { databaseUrl, count: 25, negativeEvery: 10, deliveredShare: 1 };
  expect((await createDemoOrders(all)).orders).toBe(25);
  const rows = await readRows();
  expect(rows.slice(0, 10)).toEqual(first);
  expect(rows.filter(({ amount }) => Number(amount) < 0).map(({ id }) => id)).toEqual(['20']);
  const { rows: next } = await client.query(
    `insert into orders (customer_id, amount, status) values (1, 1, 'PAID') returning id::int`,
  );
  expect(next).toEqual([{ id: 26 }]);
});

test('all of them were delivered in September 2025', async () => {
  await createDemoOrders({ databaseUrl: database.url, count: 1000, deliveredShare: 1, reset: true });
  const { rows } = await client.query(
    `select count(*)::int as orders from orders
      where delivered_at >= '2025-09-01Z' and delivered_at < '2025-10-01Z' and created_at < delivered_at`,
  );
  expect(rows).toEqual([{ orders: 1000 }]);
});

test('refuses what it cannot do, and says why', async () => {
  const databaseUrl = database.url;
  await expect(createDemoOrders({ databaseUrl, count: 0 })).rejects.toThrow(/positive whole number/);
  await client.query('alter table orders rename to gone');
  await expect(createDemoOrders({ databaseUrl, count: 1 })).rejects.toThrow(/keystride migrate/);
  await client.query('alter table gone rename to orders');
});
