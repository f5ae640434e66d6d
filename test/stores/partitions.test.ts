import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { partitionsProblem } from '../../packages/keystride/src/stores/postgres/partitions.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import {
  mayBeRewritten,
  type StoredRows,
  storedRows,
} from '../../packages/keystride/src/stores/postgres/stored-rows.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

/** What becomes of the partitions of a table between two looks. */

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('source');
  pool = createPool(database.url, 'keystride test', 3);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

beforeEach(async () => {
  await pool.query(`DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop;
    CREATE TABLE shop.k (id int, month int, note text, PRIMARY KEY (id, month)) PARTITION BY LIST (month);
    CREATE TABLE shop.k1 PARTITION OF shop.k FOR VALUES IN (1);
    CREATE TABLE shop.k2 PARTITION OF shop.k FOR VALUES IN (2, 3) PARTITION BY LIST (month);
    CREATE TABLE shop.k2a PARTITION OF shop.k2 FOR VALUES IN (2);
    CREATE TABLE shop.apart (LIKE shop.k INCLUDING ALL);
    INSERT INTO shop.k SELECT n, n % 2 + 1 FROM generate_series(1, 10) AS n`);
});

const look = async (before?: StoredRows) =>
  (await storedRows(pool, ['shop.k'], before && { 'shop.k': before }))['shop.k'] as StoredRows;

async function problem(before: StoredRows, now: StoredRows): Promise<string | null> {
  if (!before.partitions || !now.partitions) throw new Error('it is not divided');
  if (mayBeRewritten(before, now)) return 'rewritten';
  return partitionsProblem(pool, before.partitions, now.partitions);
}

const attach = `ALTER TABLE shop.k ATTACH PARTITION shop.apart FOR VALUES IN (4)`;

test.for<[string, string[], RegExp | null]>([
  [
    'rows are written, and move',
    ['UPDATE shop.k SET month = 3 - month; DELETE FROM shop.k WHERE id < 5'],
    null,
  ],
  [
    'a partition is made, and written to',
    ['CREATE TABLE shop.k2b PARTITION OF shop.k2 FOR VALUES IN (3)', 'INSERT INTO shop.k VALUES (1, 3)'],
    null,
  ],
  [
    'one is made apart and attached at once, and written to',
    [
      'DROP TABLE shop.apart',
      `CREATE TABLE shop.apart (LIKE shop.k INCLUDING ALL); ${attach}`,
      'INSERT INTO shop.k VALUES (1, 4)',
    ],
    null,
  ],
  ['an empty one is attached', [attach], null],
  ['a column is added', [`ALTER TABLE shop.k ADD more int DEFAULT 7`], null],
  [
    'one has rows before it is attached',
    ['INSERT INTO shop.apart VALUES (1, 4)', attach],
    /shop.apart was attached, with rows/,
  ],
  [
    'one is made, filled and attached at once',
    [
      'DROP TABLE shop.apart',
      `CREATE TABLE shop.apart (LIKE shop.k INCLUDING ALL); INSERT INTO shop.apart VALUES (1, 4); ${attach}`,
    ],
    /shop.apart was attached, with rows/,
  ],
  ['one is detached', ['ALTER TABLE shop.k DETACH PARTITION shop.k1'], /shop.k1 was detached or dropped/],
  ['one is dropped', ['DROP TABLE shop.k2a'], /shop.k2a was detached or dropped/],
  [
    'one is detached, emptied and attached again',
    [
      'ALTER TABLE shop.k DETACH PARTITION shop.k1; TRUNCATE shop.k1',
      'ALTER TABLE shop.k ATTACH PARTITION shop.k1 FOR VALUES IN (1)',
    ],
    /shop.k1 was detached and attached again/,
  ],
  [
    'one is truncated, and written to again',
    ['TRUNCATE shop.k2a', 'INSERT INTO shop.k VALUES (1, 2)'],
    /shop.k2a was truncated/,
  ],
  ['all are truncated with their table', ['TRUNCATE shop.k'], /shop.k1 was truncated/],
  [
    'one has another replica identity',
    ['ALTER TABLE shop.k1 REPLICA IDENTITY FULL'],
    /shop.k1 has another replica/,
  ],
  [
    'one that is new has less of a replica identity',
    [
      'CREATE TABLE shop.k2b PARTITION OF shop.k2 FOR VALUES IN (3); ALTER TABLE shop.k2b REPLICA IDENTITY NOTHING',
    ],
    /shop.k2b has another replica identity than its table/,
  ],
  ['rows are rewritten', [`ALTER TABLE shop.k ALTER note TYPE varchar(9) USING 'x'`], /rewritten/],
])('%s', async ([, statements, expected]) => {
  const before = await look();
  for (const statement of statements) await pool.query(statement);
  const found = await problem(before, await look(before));
  if (expected === null) expect(found).toBeNull();
  else expect(found).toMatch(expected);
});

test('rows that somebody writes while the attaching transaction is open are found, though it has begun before', async () => {
  const before = await look();
  const client = await pool.connect();
  await client.query('BEGIN; SELECT pg_current_xact_id()');
  await pool.query('INSERT INTO shop.apart VALUES (1, 4)');
  await client.query(`${attach}; COMMIT`);
  client.release();
  expect(await problem(before, await look(before))).toMatch(/shop.apart was attached, with rows/);
});

test('what has not changed is remembered as it was', async () => {
  const before = await look();
  await pool.query('INSERT INTO shop.k VALUES (100, 1)');
  expect(await look(before)).toEqual(before);
});

test('a partition that the role may not read is told with the right that it lacks', async () => {
  const before = await look();
  await pool.query(`${attach}; DROP ROLE IF EXISTS keystride_reader; CREATE ROLE keystride_reader;
    GRANT USAGE ON SCHEMA shop TO keystride_reader; GRANT SELECT ON shop.k TO keystride_reader`);
  const client = await pool.connect();
  try {
    await client.query('SET ROLE keystride_reader');
    const now = await look(before);
    if (!before.partitions || !now.partitions) throw new Error('it is not divided');
    const asReader = client as unknown as pg.Pool;
    expect(await partitionsProblem(asReader, before.partitions, now.partitions)).toMatch(
      /shop.apart was attached, and the role .*: GRANT SELECT ON shop.apart/,
    );
  } finally {
    await client.query('RESET ROLE');
    client.release();
    await pool.query('DROP OWNED BY keystride_reader; DROP ROLE keystride_reader');
  }
});
