import fc from 'fast-check';
import { sql } from 'kysely';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cursor } from '../../packages/keystride/src/contract/cursor.ts';
import type { Difference } from '../../packages/keystride/src/contract/verification.ts';
import { hashComparison } from '../../packages/keystride/src/stores/postgres/hash-comparison.ts';
import { postgresMessage } from '../../packages/keystride/src/stores/postgres/message.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { typedSql } from '../../packages/keystride/src/stores/postgres/sql.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

interface Row {
  id: string;
  part: string;
  content: string;
}

const tables = typedSql<{ origin: Row; copy: Row }>();
const signal = new AbortController().signal;
let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('source');
  pool = createPool(database.url, 'keystride test', 4);
  for (const table of ['origin', 'copy'])
    await pool.query(
      `CREATE TABLE ${table} (part int NOT NULL, id bigint NOT NULL, content text, PRIMARY KEY (part, id))`,
    );
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

const sideOf = (of: pg.Pool, table: 'origin' | 'copy') => ({
  pool: of,
  query: tables.selectFrom(table).select([`${table}.part`, `${table}.id`, `${table}.content`]),
  table,
  key: ['part', 'id'] as const,
});

/**
 * Everything that differs, and how many rows of keys and hashes have left the databases.
 *
 * @param connections of the pool: a comparison takes half of them at most.
 */
async function compared(limit: number, connections: number) {
  let fetched = 0;
  let asked = 0;
  let askedAtOnce = 0;
  const counting = {
    options: { max: connections },
    query: async (text: string, values: unknown[]) => {
      askedAtOnce = Math.max(askedAtOnce, (asked += 1));
      const answer = await pool.query(text, values);
      asked -= 1;
      fetched += answer.rowCount ?? 0;
      return answer;
    },
  } as unknown as pg.Pool;
  // The catalogue is asked through the same pool: a few rows more.
  const comparison = hashComparison(sideOf(counting, 'origin'), sideOf(counting, 'copy'));
  const differences: Difference[] = [];
  let position: unknown = null;
  let rows = 0;
  do {
    const page = await comparison.comparePage(position, limit, signal);
    differences.push(...page.differences);
    rows += page.compared;
    position = page.position;
  } while (position !== null);
  return { differences, rows, fetched, askedAtOnce };
}

const told = (differences: readonly Difference[]) =>
  differences.map((difference) => difference.told).toSorted();

test('7 missing, 5 different and 3 extra rows among 200,000 are named, and few rows leave the databases', async () => {
  const rows = 200_000;
  await pool.query(`TRUNCATE origin, copy;
    INSERT INTO origin SELECT n % 3, n, 'content ' || n FROM generate_series(1, ${rows}) AS n;
    INSERT INTO copy SELECT * FROM origin;
    DELETE FROM copy WHERE id IN (1, 2, 77777, 100000, 100003, 150000, ${rows});
    UPDATE copy SET content = 'other' WHERE id IN (3, 500, 99999, 123456, 199999);
    INSERT INTO copy VALUES (0, 0, 'x'), (1, 600001, 'y'), (7, 1, 'z'); ANALYZE origin, copy`);
  const found = await compared(10_000, 8);
  expect(told(found.differences)).toEqual(
    [
      ...[1, 2, 77777, 100000, 100003, 150000, rows].map((id) => `key ${id % 3},${id}: missing`),
      ...[3, 500, 99999, 123456, 199999].map((id) => `key ${id % 3},${id}: different`),
      ...['0,0', '1,600001', '7,1'].map((key) => `key ${key}: extra`),
    ].toSorted(),
  );
  expect(found.rows).toBe(rows);
  expect(found.fetched).toBeLessThan((2 * rows) / 20);
  expect(found.askedAtOnce).toBeGreaterThan(2);
});

test('whatever differs is found, and nothing else', { timeout: 120_000 }, async () => {
  const row = fc.record({ part: fc.nat(3), id: fc.nat(400), content: fc.constantFrom('a', 'b') });
  const table = fc.uniqueArray(row, { maxLength: 400, selector: ({ part, id }) => `${part},${id}` });
  const limits = fc.integer({ min: 1, max: 500 });
  const pools = fc.integer({ min: 1, max: 10 });
  await fc.assert(
    fc.asyncProperty(table, table, limits, pools, async (origin, copy, limit, connections) => {
      await pool.query('TRUNCATE origin, copy');
      for (const [name, rows] of Object.entries({ origin, copy }))
        await pool.query(`INSERT INTO ${name} SELECT * FROM json_populate_recordset(null::${name}, $1)`, [
          JSON.stringify(rows),
        ]);
      const contents = (rows: typeof origin) =>
        new Map(rows.map(({ part, id, content }) => [`${part},${id}`, content]));
      const [from, to] = [contents(origin), contents(copy)];
      const expected = [
        ...[...from].filter(([key]) => !to.has(key)).map(([key]) => `key ${key}: missing`),
        ...[...from]
          .filter(([key, content]) => to.has(key) && to.get(key) !== content)
          .map(([key]) => `key ${key}: different`),
        ...[...to.keys()].filter((key) => !from.has(key)).map((key) => `key ${key}: extra`),
      ];
      const found = await compared(limit, connections);
      expect(told(found.differences)).toEqual(expected.toSorted());
      expect(found.rows).toBe(origin.length);
      expect(found.askedAtOnce).toBeLessThanOrEqual(Math.max(2, connections));
    }),
    { numRuns: 40 },
  );
});

test('pages become larger while nothing differs, and one that is compared again has the same end', async () => {
  await pool.query(`TRUNCATE origin, copy;
    INSERT INTO origin SELECT 0, n, 'content ' || n FROM generate_series(1, 5000) AS n;
    INSERT INTO copy SELECT * FROM origin; UPDATE copy SET content = 'other' WHERE id = 1000`);
  const comparing = () => hashComparison(sideOf(pool, 'origin'), sideOf(pool, 'copy'));
  const comparison = comparing();
  const pages: { from: unknown; compared: number; differences: number; position: unknown }[] = [];
  let from: unknown = null;
  do {
    const { compared: rows, differences, position } = await comparison.comparePage(from, 100, signal);
    pages.push({ from, compared: rows, differences: differences.length, position });
    from = position;
  } while (from !== null);
  const differs = pages.findIndex(({ differences }) => differences === 1);
  const [page, next] = [pages[differs], pages[differs + 1]];
  expect(page?.compared).toBeGreaterThan(100);
  expect(next?.compared, 'the usual size').toBe(100);
  // As a repair does it, on another worker.
  await pool.query(
    'UPDATE copy SET content = origin.content FROM origin WHERE origin.id = copy.id AND copy.id = 1000',
  );
  const again = await comparing().comparePage(page?.from, 100, signal);
  expect(again).toMatchObject({ compared: page?.compared, differences: [] });
  const keyIn = (position: unknown) => (position as Cursor | undefined)?.slice(0, 2);
  expect(keyIn(again.position)).toEqual(keyIn(page?.position));
});

test('texts of a database that is not of UTF-8 are compared as those of one that is', async () => {
  const name = `${new URL(database.url).pathname.slice(1)}_latin`;
  await pool.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`);
  const url = new URL(database.url);
  url.pathname = `/${name}`;
  const latin = createPool(url.href, 'keystride test', 2);
  try {
    await pool.query(`TRUNCATE copy; INSERT INTO copy VALUES (0, 1, 'café'), (0, 2, 'thé')`);
    await latin.query('CREATE TABLE origin (part int, id bigint, content text, PRIMARY KEY (part, id))');
    await latin.query(`INSERT INTO origin VALUES (0, 1, 'café'), (0, 2, 'the')`);
    const comparison = hashComparison(sideOf(latin, 'origin'), sideOf(pool, 'copy'));
    const { differences } = await comparison.comparePage(null, 100, signal);
    expect(told(differences)).toEqual(['key 0,2: different']);
    const refused = latin.query(`UPDATE origin SET content = '日'`).catch(postgresMessage);
    expect(await refused).toBe('a character has no place in the encoding of the database (SQLSTATE 22P05)');
  } finally {
    await latin.end();
    await pool.query(`DROP DATABASE ${name}`);
  }
});

test('a difference that was written to since is another one, also when what was written was taken back', async () => {
  await pool.query(`TRUNCATE origin, copy; INSERT INTO origin VALUES (1, 1, 'new'), (1, 2, 'new');
    INSERT INTO copy VALUES (1, 1, 'old'), (1, 2, 'old')`);
  const side = (table: 'origin' | 'copy') => ({
    ...{ pool, table, key: ['part', 'id'] as const },
    query: tables.selectFrom(table).select([`${table}.part`, `${table}.id`, `${table}.content`]),
  });
  const comparison = hashComparison(side('origin'), side('copy'));
  const { differences } = await comparison.comparePage(null, 10, signal);
  const before = await comparison.again(differences, signal);
  await pool.query(`UPDATE origin SET content = 'old' WHERE id = 2`);
  await pool.query(`UPDATE origin SET content = 'new' WHERE id = 2`);
  const after = await comparison.again(differences, signal);
  expect(told(after)).toEqual(['key 1,1: different', 'key 1,2: different']);
  expect(before.map(({ state }) => after.some((one) => one.state === state))).toEqual([true, false]);
});

test('rows of one key are told when there are more of them on one side, or others', async () => {
  await pool.query(`CREATE TABLE twin (part int NOT NULL, id bigint NOT NULL, content text); CREATE TABLE twins (LIKE twin);
    INSERT INTO twin VALUES (0, 1, 'a'), (0, 2, 'a'), (0, 2, 'b'), (0, 3, 'a'), (0, 3, 'a');
    INSERT INTO twins VALUES (0, 1, 'a'), (0, 1, 'a'), (0, 2, 'b'), (0, 2, 'a'), (0, 3, 'a'), (0, 3, 'c')`);
  const named = typedSql<{ twin: Row; twins: Row }>();
  const side = (table: 'twin' | 'twins') => ({
    pool,
    query: named.selectFrom(table).select([`${table}.id`, `${table}.content`]),
    table,
    key: ['part', 'id'] as const,
  });
  const page = await hashComparison(side('twin'), side('twins')).comparePage(null, 500, signal);
  expect(told(page.differences)).toEqual(['key 0,1: different', 'key 0,3: different']);
});

test('hashes that differ, of rows that do not, are an error', async () => {
  await pool.query(`CREATE TABLE settled (id bigint PRIMARY KEY, content text); CREATE TABLE unsettled (LIKE settled INCLUDING ALL);
    INSERT INTO settled SELECT n, 'same' FROM generate_series(1, 150) AS n; INSERT INTO unsettled SELECT * FROM settled;
    CREATE FUNCTION never_alike(content text) RETURNS text LANGUAGE sql VOLATILE AS
      $$ SELECT CASE WHEN current_query() LIKE 'SELECT count(%' THEN random()::text ELSE content END $$`);
  const named = typedSql<{ settled: Row; unsettled: Row }>();
  const key = ['id'] as const;
  const comparison = hashComparison(
    { pool, query: named.selectFrom('settled').select(['id', 'content']), table: 'settled', key },
    {
      pool,
      query: named
        .selectFrom('unsettled')
        .select(['unsettled.id', sql<string>`never_alike(unsettled.content)`.as('content')]),
      table: 'unsettled',
      key,
    },
  );
  await expect(comparison.comparePage(null, 500, signal)).rejects.toMatchObject({ type: 'Incomparable' });
});

test('one of two rows whose columns are the same but for where they are parted is told', async () => {
  await pool.query(`CREATE TABLE va (a text, b text, v text, PRIMARY KEY (a, b)); CREATE TABLE vb (LIKE va INCLUDING ALL);
    INSERT INTO va VALUES ('x', 'y,z', 'right'), ('x,y', 'z', 'same'); INSERT INTO vb VALUES ('x', 'y,z', 'wrong'), ('x,y', 'z', 'same')`);
  const named = typedSql<Record<'va' | 'vb', Record<'a' | 'b' | 'v', string>>>();
  const side = (table: 'va' | 'vb') => ({
    ...{ pool, table, key: ['a', 'b'] as const },
    query: named.selectFrom(table).selectAll(),
  });
  const page = await hashComparison(side('va'), side('vb')).comparePage(null, 500, signal);
  expect(told(page.differences)).toEqual(['key x,y\\,z: different']);
});
