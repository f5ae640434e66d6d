import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDemoPoints } from '../../src/demo-data/points.ts';
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
  (await client.query<Record<string, string>>('select * from point_event order by id')).rows;

test('the same seed makes the same rows, another seed makes others', async () => {
  const databaseUrl = database.url;
  const fill = (seed: string) =>
    createDemoPoints({ databaseUrl, count: 500, members: 20, seed, reset: true });
  expect(await fill('one')).toEqual({ events: 500, members: 20 });
  const rows = await readRows();
  await fill('one');
  expect(await readRows()).toEqual(rows);
  await fill('two');
  expect(await readRows()).not.toEqual(rows);
});

test('events of three kinds, over five days', async () => {
  await createDemoPoints({ databaseUrl: database.url, count: 10_000, reset: true });
  const { rows } = await client.query<{ type: string; events: number; days: number }>(
    `select type, count(*)::int as events, count(distinct (occurred_at at time zone 'UTC')::date)::int as days
       from point_event where amount between 1 and 10000 group by type order by type`,
  );
  expect(rows.map(({ type, days }) => [type, days])).toEqual([
    ['ACCRUE', 5],
    ['EXPIRE', 5],
    ['USE', 5],
  ]);
  expect(rows[0]?.events).toBeGreaterThan(6_500);
  expect(rows.reduce((sum, { events }) => sum + events, 0)).toBe(10_000);
});

test('a second call adds what is missing; --reset empties the settlements too', async () => {
  const databaseUrl = database.url;
  await client.query(`insert into point_settlement (settlement_date, member_id) values ('2025-10-01', 1)`);
  await createDemoPoints({ databaseUrl, count: 10, members: 3, reset: true });
  const first = await readRows();
  expect(await createDemoPoints({ databaseUrl, count: 25, members: 3 })).toEqual({ events: 25, members: 3 });
  expect((await readRows()).slice(0, 10)).toEqual(first);
  expect((await client.query('select from point_settlement')).rows).toEqual([]);
});

test('refuses what it cannot do, and says why', async () => {
  const databaseUrl = database.url;
  await expect(createDemoPoints({ databaseUrl, count: 0 })).rejects.toThrow(/events must be a positive/);
  await expect(createDemoPoints({ databaseUrl, count: 1, members: 0 })).rejects.toThrow(/members must be/);
});
