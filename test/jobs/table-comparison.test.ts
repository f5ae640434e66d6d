import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { tableSyncSteps } from '../../packages/keystride/src/table-sync/index.ts';
import { type Cursor, nameOfKey } from '../../packages/keystride/src/contract/cursor.ts';
import { tableSync } from '../../packages/keystride/src/table-sync/contract.ts';
import type { Difference } from '../../packages/keystride/src/contract/verification.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { hashComparison } from '../../packages/keystride/src/stores/postgres/hash-comparison.ts';
import { keysetReader } from '../../packages/keystride/src/stores/postgres/keyset-reader.ts';
import { namedTables } from '../../packages/keystride/src/stores/postgres/sql.ts';
import { inTransaction } from '../../packages/keystride/src/stores/postgres/transaction.ts';
import { comparisonCases } from '../support/comparison-cases.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { fill, make, tables } from '../support/keyed-tables.ts';

const { signal } = new AbortController();
const databases: TestDatabase[] = [];
let service: pg.Pool;
let migration: pg.Pool;

beforeAll(async () => {
  databases.push(await testDatabase('source'), await testDatabase('target'));
  const [from, to] = databases.map(({ url }) => createPool(url, 'keystride test', 4));
  if (!from || !to) throw new Error('there are two databases');
  [service, migration] = [from, to];
});

afterAll(async () => {
  await service?.end();
  await migration?.end();
  for (const database of databases) await database.drop();
});

beforeEach(async () => {
  const collations = `DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop;
    CREATE COLLATION shop.numeric (provider = icu, locale = 'und-u-kn-true');
    CREATE COLLATION shop.caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`;
  for (const pool of [service, migration]) await pool.query(collations);
});

/** The verification of a sync of table shop.k. */
async function verification(parameters: object = {}, source = service) {
  const work = tableSyncSteps({ source, database: migration }).verify({
    parameters: tableSync.parameters.parse({ source: 'shop.k', run: 1, ...parameters }),
  } as never);
  const { repair } = work;
  if (!repair?.work || !('writer' in repair.work)) throw new Error('a sync can repair');
  const { reader, writer } = repair.work;
  const differences = async (limit = 100): Promise<Difference[]> => {
    const found: Difference[] = [];
    let position: unknown = null;
    do {
      const page = await work.comparePage(position, limit, signal);
      found.push(...page.differences);
      position = page.position;
    } while (position !== null);
    return found;
  };
  const put = async (found: readonly Difference[]) => {
    const keys = (of: 'rerun' | 'remove') => found.flatMap((each): Cursor[] => (each[of] ? [each[of]] : []));
    const lacking = (await work.lacking?.(keys('remove'), signal)) ?? [];
    const again = (await reader.readKeys?.({ keys: keys('rerun'), signal })) ?? [];
    const rows = again.flatMap((read) => (read && 'item' in read ? [read.item] : []));
    return inTransaction(migration, async (transaction) => {
      const removed = lacking.length > 0 ? await repair.remove?.(lacking, transaction) : 0;
      if (rows.length > 0) await writer?.write(rows, transaction);
      return removed;
    });
  };
  return { differences, put };
}

const told = (differences: readonly Difference[]) =>
  differences.map((difference) => difference.told.replace(/^key /u, '')).toSorted();

async function differing(source: string, sink: string, parameters: object = {}): Promise<string[]> {
  await service.query(source);
  await migration.query(sink);
  return told(await (await verification(parameters)).differences());
}

test.each(comparisonCases)('compared: $what', async ({ source, sink, told: expected }) => {
  await migration.query(`CREATE TYPE shop.mood AS ENUM ('happy', 'sad'); CREATE DOMAIN shop.small AS int;
    CREATE DOMAIN shop.code AS varchar(3)`);
  expect(await differing(source, sink)).toEqual(expected);
});

test('a key that is cast on its way is compared as the sink has it', async () => {
  const found = await differing(
    `CREATE TABLE shop.k (id numeric PRIMARY KEY, v text); INSERT INTO shop.k VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4.5, 'e')`,
    `CREATE TABLE shop.k (id text PRIMARY KEY, v text); INSERT INTO shop.k VALUES ('1', 'a'), ('2', 'x'), ('4', 'd')`,
    { cast: ['id:bigint'] },
  );
  expect(found).toEqual(['2: different', '3: missing', '4: extra', 'no value 4.5: missing']);
});

test('what the source takes for equal is not removed', async () => {
  await differing(
    `CREATE TABLE shop.k (id text COLLATE shop.caseless PRIMARY KEY, v text); INSERT INTO shop.k VALUES ('A', '1')`,
    `CREATE TABLE shop.k (id text PRIMARY KEY, v text); INSERT INTO shop.k VALUES ('a', '0'), ('b', '0')`,
  );
  const { differences, put } = await verification();
  expect(told(await differences())).toEqual(['A: missing', 'a: extra', 'b: extra']);
  expect(await put(await differences())).toBe(1);
  expect((await migration.query('SELECT id FROM shop.k ORDER BY id')).rows).toEqual([
    { id: 'A' },
    { id: 'a' },
  ]);
});

test('what row security hides in the source is not removed from the sink', async () => {
  const role = `reader_${randomUUID().replaceAll('-', '')}`;
  await differing(
    `CREATE TABLE shop.k (id int PRIMARY KEY, v text); INSERT INTO shop.k VALUES (1, 'a'), (2, 'b');
     ALTER TABLE shop.k ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON shop.k USING (id = 1);
     CREATE ROLE ${role} LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA shop TO ${role}; GRANT SELECT ON shop.k TO ${role}`,
    `CREATE TABLE shop.k (id int PRIMARY KEY, v text); INSERT INTO shop.k VALUES (1, 'a'), (2, 'b')`,
  );
  const url = Object.assign(new URL(databases[0]?.url ?? ''), { username: role, password: 'reader' });
  const limited = createPool(url.href, 'keystride test');
  try {
    const { differences, put } = await verification({}, limited);
    const found = await differences();
    expect(told(found)).toEqual(['2: extra, if row security does not hide it in the source']);
    await put(found);
    expect((await migration.query('SELECT FROM shop.k')).rowCount).toBe(2);
    const reader = keysetReader({
      pool: limited,
      query: namedTables.selectFrom('shop.k').select('id'),
      table: 'shop.k',
      key: ['id'],
    });
    expect(await reader.problems?.()).toEqual([expect.stringMatching(/row security .* not read/u)]);
    const rows = {
      query: namedTables.selectFrom('shop.k').select('id'),
      table: 'shop.k',
      key: ['id'],
    } as const;
    const other = hashComparison({ ...rows, pool: migration }, { ...rows, pool: limited });
    await expect(other.comparePage(null, 10, signal)).rejects.toThrow(
      /row security may hide rows of the target shop\.k/u,
    );
  } finally {
    await limited.end();
    await service.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

test(
  'whatever the keys are, what differs is told exactly, and a repair touches nothing else',
  { timeout: 600_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(tables, async ({ types, rows, limit }) => {
        await make(service, 'source', types);
        await make(migration, 'sink', types);
        await fill(
          service,
          rows.filter((row) => row.damage !== 'extra').map(({ key, content }) => [...key, content]),
        );
        await fill(
          migration,
          rows
            .filter((row) => row.damage !== 'missing')
            .map((row) => [...row.key, row.damage === 'different' ? 'damaged' : row.content]),
        );
        await migration.query(`CREATE TABLE shop.removed (content text);
        CREATE OR REPLACE FUNCTION shop.note() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN INSERT INTO shop.removed VALUES (old.content); RETURN old; END $$;
        CREATE TRIGGER note BEFORE DELETE ON shop.k FOR EACH ROW EXECUTE FUNCTION shop.note()`);
        const { differences, put } = await verification();
        const found = await differences(limit);
        const expected = rows
          .filter((row) => row.damage !== 'none')
          .map((row) => `${nameOfKey(row.key)}: ${row.damage}`);
        expect(told(found)).toEqual(expected.toSorted());
        const extra = rows.filter((row) => row.damage === 'extra').length;
        expect(await put(found)).toBe(extra);
        expect(await differences(limit)).toEqual([]);
        expect((await migration.query('SELECT FROM shop.removed')).rowCount).toBe(extra);
      }),
      { numRuns: 60 },
    );
  },
);

test.for([
  ['ranges', 'int'],
  ['keys', 'numeric'],
])(
  'a value that no database can compare is told by its key, and the others are compared: by %s',
  async ([, type]) => {
    await differing(
      `CREATE TABLE shop.k (id ${type} PRIMARY KEY, v text);
     INSERT INTO shop.k SELECT 2 * n, '[' || n || ']' FROM generate_series(1, 300) AS n;
     UPDATE shop.k SET v = repeat('[', 200000) || repeat(']', 200000) WHERE id IN (202, 600)`,
      `CREATE TABLE shop.k (id ${type} PRIMARY KEY, v jsonb);
     INSERT INTO shop.k SELECT 2 * n, jsonb_build_array(n) FROM generate_series(1, 299) AS n WHERE n <> 101;
     INSERT INTO shop.k VALUES (201, '1'), (203, '1'); UPDATE shop.k SET v = '0' WHERE id = 4`,
    );
    const { differences } = await verification();
    for (const limit of [7, 100, 20_000])
      expect(told(await differences(limit))).toEqual([
        '201: extra',
        '202: cannot be compared (SQLSTATE 54001)',
        '203: extra',
        '4: different',
        '600: cannot be compared (SQLSTATE 54001)',
      ]);
  },
);

test('a comparison ends on the server when it is cancelled', { timeout: 60_000 }, async () => {
  await differing(
    `CREATE TABLE shop.k (id int PRIMARY KEY, v text)`,
    `CREATE TABLE shop.k (id int PRIMARY KEY, v text)`,
  );
  // A policy that keeps the other side waiting, as a large table would.
  const blocker = await migration.connect();
  try {
    await blocker.query('BEGIN; LOCK TABLE shop.k');
    const cancelled = new AbortController();
    const work = tableSyncSteps({ source: service, database: migration }).verify({
      parameters: tableSync.parameters.parse({ source: 'shop.k', run: 1 }),
    } as never);
    const page = work.comparePage(null, 100, cancelled.signal);
    const waiting = async () =>
      (
        await service.query(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = $1`, [
          new URL(databases[1]?.url ?? '').pathname.slice(1),
        ])
      ).rowCount;
    await expect.poll(waiting, { timeout: 20_000 }).toBe(1);
    cancelled.abort(new Error('given up'));
    await expect(page).rejects.toThrow('given up');
    await expect.poll(waiting, { timeout: 20_000 }).toBe(0);
  } finally {
    await blocker.query('ROLLBACK');
    blocker.release();
  }
});
