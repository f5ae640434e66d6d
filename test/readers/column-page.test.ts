import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  columnsQuery,
  type ColumnsRow,
  readableAsColumns,
  rowsOf,
} from '../../packages/keystride/src/stores/postgres/column-page.ts';
import { createPool, types } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('target');
  pool = createPool(database.url, 'keystride test', 1);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

const mixed = `SELECT n::bigint + 9007199254740993 AS big, nullif(n, 2) AS int, n::smallint AS small, n % 2 = 0 AS even,
    nullif(n % 3 = 0, true) AS seldom, date '2025-12-30' + n AS day, nullif(n, n) AS never
  FROM generate_series(-3, 3) AS n ORDER BY n`;

test.each([
  ['numbers, booleans and dates, some of them null', mixed],
  ['a row', 'SELECT 1 AS one'],
  ['a row of null', 'SELECT null::int AS nothing'],
  ['no rows', 'SELECT 1 AS one WHERE false'],
])('%s: the rows that the driver would have read', async (_, query) => {
  const { rows, fields } = await pool.query<pg.QueryResultRow>(query);
  const columns = readableAsColumns(fields);
  if (!columns) throw new Error('they are not read as columns');
  const { rows: answer } = await pool.query<ColumnsRow>(columnsQuery(query, columns));
  expect(answer.flatMap((row) => rowsOf(row, columns, types))).toEqual(rows);
});

test.each([
  ['texts', `SELECT 1 AS id, 'a,b' AS text`],
  ['fractions', 'SELECT 1.5 AS amount'],
  ['two columns of one name', 'SELECT 1 AS id, 2 AS id'],
])('%s are read row by row', async (_, query) => {
  const { fields } = await pool.query(query);
  expect(readableAsColumns(fields)).toBeUndefined();
});
