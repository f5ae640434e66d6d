import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool } from '../../src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('service');
  pool = createPool(database.url, 'keystride test', 1);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

test('times are text: to the microsecond, in no time zone of the process, and the same when they are written back', async () => {
  const { rows } = await pool.query(
    `SELECT date '2025-10-01' AS day, timestamp '2025-03-09 02:30:00.123456' AS local,
            timestamptz '2025-10-01 00:00:00.123456+00' = $1::timestamptz AS same`,
    ['2025-10-01 00:00:00.123456+00'],
  );
  expect(rows).toEqual([{ day: '2025-10-01', local: '2025-03-09 02:30:00.123456', same: true }]);
  const read = await pool.query<{ at: string }>(`SELECT timestamptz '2025-10-01 00:00:00.123456Z' AS at`);
  const back = await pool.query(`SELECT $1 = timestamptz '2025-10-01 00:00:00.123456Z' AS same`, [
    read.rows[0]?.at,
  ]);
  expect(back.rows).toEqual([{ same: true }]);
});
