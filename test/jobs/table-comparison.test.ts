import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { tableSyncSteps } from '../../packages/keystride/src/table-sync/index.ts';
import { type Cursor, nameOfKey } from '../../packages/keystride/src/contract/cursor.ts';
import { tableSync } from '../../packages/keystride/src/table-sync/contract.ts';
import type { Difference } from '../../packages/keystride/src/contract/verification.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { keysetReader } from '../../packages/keystride/src/stores/postgres/keyset-reader.ts';
import { namedTables } from '../../packages/keystride/src/stores/postgres/sql.ts';
import { inTransaction } from '../../packages/keystride/src/stores/postgres/transaction.ts';
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

interface Case {
  readonly what: string;
  readonly source: string;
  readonly sink: string;
  readonly told: readonly string[];
}

/** Two columns of one row, `id` 1: which of them differ is told by what is said of key 1. */
const values = (what: string, [source, from]: string[], [sink, to]: string[], same: boolean): Case => ({
  what,
  source: `CREATE TABLE shop.k (id int PRIMARY KEY, v ${source}); INSERT INTO shop.k VALUES (1, ${from})`,
  sink: `CREATE TABLE shop.k (id int PRIMARY KEY, v ${sink}); INSERT INTO shop.k VALUES (1, ${to})`,
  told: same ? [] : ['1: different'],
});

const onBoth = (what: string, table: string, from: string, to: string, ...differ: string[]): Case => ({
  what,
  source: `${table}; INSERT INTO shop.k VALUES ${from}`,
  sink: `${table}; INSERT INTO shop.k VALUES ${to}`,
  told: differ,
});

const cases: readonly Case[] = [
  onBoth(
    'texts with commas in a key of two',
    'CREATE TABLE shop.k (a text, b text, v text, PRIMARY KEY (a, b))',
    `('x', 'y,z', 'right'), ('x,y', 'z', 'same'), ('x\\', ',', 'there')`,
    `('x', 'y,z', 'wrong'), ('x,y', 'z', 'same'), ('x', '\\,', 'there')`,
    ...['x,\\\\\\,: extra', 'x,y\\,z: different', 'x\\\\,\\,: missing'],
  ),
  ...[
    'compared',
    'keystride_compared',
    'keystride_hash',
    'found',
    'price.eur',
    'It"s',
    '%',
    'keystride_key_0',
  ].map((name) => {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    return onBoth(
      `a column called ${name}`,
      `CREATE TABLE shop.k (id text COLLATE "en-x-icu" PRIMARY KEY, ${quoted} boolean, amount int)`,
      `('1', true, 100)`,
      `('1', true, 999)`,
      '1: different',
    );
  }),
  onBoth(
    'a key column called price.eur',
    'CREATE TABLE shop.k ("price.eur" int PRIMARY KEY, v text)',
    `(1, 'a'), (2, 'b')`,
    `(1, 'b'), (3, 'b')`,
    ...['1: different', '2: missing', '3: extra'],
  ),
  onBoth(
    'null and an empty text',
    'CREATE TABLE shop.k (id int PRIMARY KEY, v text, w text)',
    `(1, '', null)`,
    `(1, null, '')`,
    '1: different',
  ),
  values('a domain that cuts', ['text', `'abcdefgh'`], ['shop.code', `'abc'`], false),
  values('char(n) pads and does not differ', ['text', `'ab'`], ['char(5)', `'ab'`], true),
  values('char(n) cuts', ['text', `'abcdef'`], ['char(5)', `'abcde'`], false),
  values('name cuts', ['text', `repeat('x', 70)`], ['name', `repeat('x', 63)`], false),
  values('1.0 and 1.00', ['numeric', '1.0'], ['numeric(10,2)', '1.00'], true),
  values('a scale that rounds', ['numeric', '1.005'], ['numeric(10,2)', '1.01'], false),
  values('an array of a scale', ['numeric[]', `'{1.0,2}'`], ['numeric(10,2)[]', `'{1.00,2.00}'`], true),
  values(
    'an array of a scale that rounds',
    ['numeric[]', `'{1.005}'`],
    ['numeric(10,2)[]', `'{1.01}'`],
    false,
  ),
  values('an array of a length that cuts', ['text[]', `'{abcdef}'`], ['varchar(3)[]', `'{abc}'`], false),
  values('bits that are cut', ['varbit', `B'1011'`], ['varbit(2)', `B'10'`], false),
  values(
    'a precision that rounds',
    ['timestamp', `'2025-01-01 10:00:00.7'`],
    ['timestamp(0)', `'2025-01-01 10:00:01'`],
    false,
  ),
  values('an interval of hours', ['interval', `'1 day 02:03'`], ['interval hour', `'1 day 02:00'`], false),
  values('the day of a timestamp', ['timestamp', `'2025-01-01 10:00'`], ['date', `'2025-01-01'`], false),
  values('a timestamp at midnight', ['timestamp', `'2025-01-01'`], ['date', `'2025-01-01'`], true),
  values('the day of a text', ['text', `'2025-01-01 10:00'`], ['date', `'2025-01-01'`], false),
  values('a text of a day', ['text', `'Jan 1 2025'`], ['date', `'2025-01-01'`], true),
  values(
    'a text with an offset',
    ['text', `'2025-01-01 10:00+09'`],
    ['timestamp', `'2025-01-01 10:00'`],
    false,
  ),
  values('the time of a text', ['text', `'2025-01-01 10:00'`], ['time', `'10:00'`], false),
  values('a text of nanoseconds', ['text', `'10:00:00.1234567'`], ['time', `'10:00:00.123457'`], false),
  values('a text of too many digits', ['text', `'0.12345678901234567'`], ['real', '0.12345678'], false),
  values('a key twice in JSON', ['json', `'{"a":1,"a":2}'`], ['jsonb', `'{"a":2}'`], false),
  values('no value of the type', ['text', `'seven'`], ['int', '7'], false),
  values('out of the range of the type', ['bigint', '3000000000'], ['int', '7'], false),
  values('a wider integer', ['int', '7'], ['bigint', '7'], true),
  values('an enum of the sink alone', ['text', `'happy'`], ['shop.mood', `'happy'`], true),
  values('another value of such an enum', ['text', `'happy'`], ['shop.mood', `'sad'`], false),
  values('an array of such enums', ['text[]', `'{happy}'`], ['shop.mood[]', `'{happy}'`], true),
  values('a domain of the sink alone', ['int', '7'], ['shop.small', '7'], true),
  values('floats next to each other', ['float8', '0.1::float8 + 0.2'], ['float8', '0.3'], false),
  values('minus zero', ['float8', `'-0'`], ['float8', '0'], false),
  values('no number', ['float8', `'NaN'`], ['float8', `'NaN'`], true),
  values('a float of four bytes', ['real', '0.1'], ['float8', '0.1'], true),
  values('json and jsonb', ['json', `'{"b":1, "a":2}'`], ['jsonb', `'{"a":2,"b":1}'`], true),
  values('a text that looks like two', ['text[]', `'{"a,b"}'`], ['text[]', `'{a,b}'`], false),
  ...[
    ['text COLLATE "en-x-icu"', 'text COLLATE "C"'],
    ['text', 'text COLLATE shop.numeric'],
  ].map(([from, to]) => ({
    what: `a key of ${from} and of ${to}`,
    source: `CREATE TABLE shop.k (id ${from} PRIMARY KEY, v text); INSERT INTO shop.k VALUES ('a', '1'), ('B', '2'), ('c10', '3'), ('c9', '4')`,
    sink: `CREATE TABLE shop.k (id ${to} PRIMARY KEY, v text); INSERT INTO shop.k VALUES ('a', '1'), ('B', 'x'), ('c9', '4'), ('D', '5')`,
    told: ['B: different', 'D: extra', 'c10: missing'],
  })),
  {
    what: 'keys that only the source takes for one',
    source: `CREATE TABLE shop.k (id text COLLATE shop.caseless PRIMARY KEY, v text); INSERT INTO shop.k VALUES ('A', '1')`,
    sink: `CREATE TABLE shop.k (id text PRIMARY KEY, v text); INSERT INTO shop.k VALUES ('a', '0'), ('A', '1')`,
    told: ['a: extra'],
  },
  {
    what: 'a key of the sink that is no value of the source',
    source: `CREATE TABLE shop.k (id int PRIMARY KEY, v text); INSERT INTO shop.k VALUES (7, '1')`,
    sink: `CREATE TABLE shop.k (id text PRIMARY KEY, v text); INSERT INTO shop.k VALUES ('7', '1'), ('seven', '1')`,
    told: ['seven: extra'],
  },
  {
    what: 'an enum of another order as the key',
    source: `CREATE TYPE shop.size AS ENUM ('s', 'm', 'l'); CREATE TABLE shop.k (id shop.size PRIMARY KEY, v text);
             INSERT INTO shop.k VALUES ('s', '1'), ('m', '2'), ('l', '3')`,
    sink: `CREATE TYPE shop.size AS ENUM ('l', 'm', 's'); CREATE TABLE shop.k (id shop.size PRIMARY KEY, v text);
           INSERT INTO shop.k VALUES ('s', '1'), ('m', 'x')`,
    told: ['l: missing', 'm: different'],
  },
];

test.each(cases)('compared: $what', async ({ source, sink, told: expected }) => {
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
