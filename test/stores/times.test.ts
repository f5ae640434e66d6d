import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('source');
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

test('arrays of times and of numerics keep what a Date and a number would lose', async () => {
  const { rows } = await pool.query(
    `SELECT ARRAY[timestamptz '2025-10-01 00:00:00.123456Z', NULL] AS times, ARRAY[date '0044-03-15 BC'] AS days,
            ARRAY[timestamp 'infinity'] AS locals, ARRAY[12345678901234567890.10::numeric] AS amounts`,
  );
  expect(rows).toEqual([
    {
      times: ['2025-10-01 00:00:00.123456+00', null],
      days: ['0044-03-15 BC'],
      locals: ['infinity'],
      amounts: ['12345678901234567890.10'],
    },
  ]);
});

test('intervals are text, and the same when they are written back: those without an end too', async () => {
  const spans = ['infinity', '-infinity', '1 mon -2 days', '-00:00:00.000001', '256204778:48:05.477581'];
  const { rows } = await pool.query<{ span: string; spans: string[] }>(
    'SELECT span::interval AS span, ARRAY[span::interval, NULL] AS spans FROM unnest($1::text[]) AS span',
    [spans],
  );
  expect(rows).toEqual(spans.map((span) => ({ span, spans: [span, null] })));
});

test('a Date is the same moment in the database, in whatever time zone the process is', async () => {
  const zone = process.env['TZ'];
  try {
    for (const each of ['UTC', 'Asia/Seoul', 'America/St_Johns']) {
      process.env['TZ'] = each;
      const moments = ['1899-12-31T23:59:59.123Z', '2025-10-26T00:30:00.000Z', '0001-01-01T00:00:00.000Z'];
      const { rows } = await pool.query(
        'SELECT extract(epoch FROM unnest($1::timestamptz[]))::text AS seconds',
        [moments.map((moment) => new Date(moment))],
      );
      expect(rows.map(({ seconds }) => Number(seconds) * 1000)).toEqual(
        moments.map((moment) => Date.parse(moment)),
      );
    }
  } finally {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  }
});
