import pg from 'pg';
import { inTransaction, tableWriter } from 'keystride/postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('target');
  pool = new pg.Pool({ connectionString: database.url, max: 1 });
  await pool.query(`
    CREATE SCHEMA "odd.schema";
    CREATE TABLE "odd.schema".line (
      shop int, "odd ""name" text, note jsonb, at timestamptz DEFAULT now(), PRIMARY KEY (shop, "odd ""name"))`);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

const { write } = tableWriter({
  table: '"odd.schema".line',
  columns: { shop: 'integer', 'odd "name': 'text', note: 'jsonb' },
});

test('rows are inserted in one statement, and those that are there stay as they are', async () => {
  const row = (shop: number, note: string) => ({ shop, 'odd "name': 'a', note: JSON.stringify(note) });
  const writing = (...rows: ReturnType<typeof row>[]) =>
    inTransaction(pool, (transaction) => write(rows, transaction));
  expect(await writing(row(1, 'first'), row(2, 'first'))).toBe(2);
  expect(await writing(row(2, 'second'), row(3, 'second'))).toBe(1);
  expect(await writing()).toBe(0);
  const { rows } = await pool.query('SELECT shop, note FROM "odd.schema".line ORDER BY shop');
  expect(rows).toEqual([
    { shop: 1, note: 'first' },
    { shop: 2, note: 'first' },
    { shop: 3, note: 'second' },
  ]);
});
