import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KeyRange } from '../../packages/keystride/src/contract/cursor.ts';
import type { Reader } from '../../packages/keystride/src/contract/reader.ts';
import { keysetReader } from '../../packages/keystride/src/stores/postgres/keyset-reader.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { typedSql } from '../../packages/keystride/src/stores/postgres/sql.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

/** Tables with the keys that make trouble. */
interface Tables {
  event: { at: string; id: string };
  number: { id: string };
  text_key: { name: string };
  uuid_key: { id: string };
  composite: { tenant: string; number: number; id: string };
  local_time: { at: string; id: number };
}

const tables = typedSql<Tables>();
const signal = new AbortController().signal;
let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('source');
  // A session somewhere else than in UTC: a time rendered without its offset would be another one.
  const url = new URL(database.url);
  url.searchParams.set('options', '-c timezone=America/New_York');
  pool = createPool(url.href, 'keystride test', 4);
  await pool.query(`
    CREATE TABLE event (at timestamptz NOT NULL, id bigint PRIMARY KEY, UNIQUE (at, id));
    CREATE TABLE number (id bigint PRIMARY KEY);
    CREATE TABLE text_key (name text COLLATE "C.utf8" PRIMARY KEY);
    CREATE TABLE uuid_key (id uuid PRIMARY KEY);
    CREATE TABLE composite (tenant text NOT NULL, number int NOT NULL, id uuid NOT NULL, PRIMARY KEY (tenant, number, id));
    CREATE TABLE local_time (at timestamp NOT NULL, id int NOT NULL, PRIMARY KEY (at, id));`);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

/** Reads a range to its end by pages of a size, as a page activity does. */
async function readRange<Row>(reader: Reader<Row>, range: KeyRange, limit: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (let after: KeyRange['lower'] = null; ;) {
    const page = await reader.read({ range, after, limit, signal });
    rows.push(...page.items);
    expect(page.items.length).toBeLessThanOrEqual(limit);
    if (page.items.length < limit) return rows;
    // As it travels: through the ledger, as JSON.
    after = JSON.parse(JSON.stringify(page.cursorAt(page.items.length - 1))) as NonNullable<
      KeyRange['lower']
    >;
  }
}

/** Plans and reads all of it. */
async function readAll<Row>(reader: Reader<Row>, limit: number, partitions = 1): Promise<Row[]> {
  const { ranges } = await reader.plan({ partitions, signal });
  const parts: Row[] = [];
  for (const range of ranges) parts.push(...(await readRange(reader, range, limit)));
  return parts;
}

async function fill(table: keyof Tables, select: string, values: unknown[] = []): Promise<void> {
  await pool.query(`TRUNCATE ${table}`);
  await pool.query(`INSERT INTO ${table} ${select}`, values);
}

const numbers = () =>
  keysetReader({ pool, query: tables.selectFrom('number').select('id'), table: 'number', key: ['id'] });
const events = () =>
  keysetReader({
    pool,
    query: tables.selectFrom('event').select(['id', 'at']),
    table: 'event',
    key: ['at', 'id'],
  });

describe('every row exactly once, in the order of the key', () => {
  test('900 rows within one millisecond, by time and id, page 100', async () => {
    await fill(
      'event',
      `SELECT timestamptz '2025-11-02 05:59:59.999Z' + n * interval '1 microsecond', 1000 - n FROM generate_series(1, 900) AS n`,
    );
    const rows = await readAll(events(), 100);
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 900 }, (_, index) => String(999 - index)));
  });

  test('10,000 equal times', async () => {
    await fill('event', `SELECT '2025-10-01 00:00:00.123456Z', n FROM generate_series(1, 10000) AS n`);
    const rows = await readAll(events(), 1000, 4);
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 10_000 }, (_, index) => String(index + 1)));
  });

  test('the hour that New York has twice, in a process that lives there', async () => {
    const before = process.env['TZ'];
    process.env['TZ'] = 'America/New_York';
    try {
      await fill(
        'event',
        `SELECT timestamptz '2025-11-02 04:30:00Z' + n * interval '1 minute', n FROM generate_series(1, 180) AS n`,
      );
      expect((await readAll(events(), 7, 3)).map(({ id }) => Number(id))).toEqual(counted(180));
      // A time without a zone, in the hour that New York skips.
      await fill(
        'local_time',
        `SELECT timestamp '2025-03-09 01:30:00' + n * interval '1 minute', n FROM generate_series(1, 180) AS n`,
      );
      const reader = keysetReader({
        pool,
        query: tables.selectFrom('local_time').select('id'),
        table: 'local_time',
        key: ['at', 'id'],
      });
      expect((await readAll(reader, 7, 3)).map(({ id }) => id)).toEqual(counted(180));
    } finally {
      if (before === undefined) delete process.env['TZ'];
      else process.env['TZ'] = before;
    }
  });

  test('ids beyond what a number holds, and the smallest of all', async () => {
    const ids = [
      '-9223372036854775808',
      '-9223372036854775807',
      '-1',
      '0',
      ...Array.from({ length: 7 }, (_, index) => String(2n ** 53n - 1n + BigInt(index))),
      '9223372036854775807',
    ];
    await fill('number', 'SELECT unnest($1::bigint[])', [ids]);
    for (const page of [1, 2, 3, 12])
      expect((await readAll(numbers(), page)).map(({ id }) => id)).toEqual(ids);
    expect((await readAll(numbers(), 2, 4)).map(({ id }) => id)).toEqual(ids);
  });

  test('numbers stay in the order of numbers when they are read as text under their own name', async () => {
    await fill('number', 'SELECT generate_series(1, 1000)');
    const reader = keysetReader({
      pool,
      query: tables
        .selectFrom('number')
        .select(({ cast, ref }) => cast<string>(ref('number.id'), 'text').as('id')),
      table: 'number',
      key: ['id'],
    });
    expect((await readAll(reader, 100)).map(({ id }) => Number(id))).toEqual(counted(1000));
  });

  test.for([1, 2, 3, 5])(
    'texts of mixed case, with hyphens and beyond the first plane, page %i',
    async (page) => {
      const names = [
        'a',
        'A',
        'b',
        'B',
        'a-b',
        'ab',
        'a b',
        'Z',
        'z',
        'é',
        'ﬀ',
        '\uffff',
        '𐐷',
        '🙂',
        "o'clock",
        '%_',
        '\\',
        '',
      ];
      await fill('text_key', 'SELECT unnest($1::text[])', [names]);
      const reader = keysetReader({
        pool,
        query: tables.selectFrom('text_key').select('name'),
        table: 'text_key',
        key: ['name'],
      });
      const { rows } = await pool.query<{ name: string }>('SELECT name FROM text_key ORDER BY name');
      for (const partitions of [1, 4])
        expect((await readAll(reader, page, partitions)).map(({ name }) => name)).toEqual(
          rows.map(({ name }) => name),
        );
    },
  );

  test('uuids and keys of several columns', async () => {
    await fill('uuid_key', 'SELECT gen_random_uuid() FROM generate_series(1, 500)');
    const uuids = keysetReader({
      pool,
      query: tables.selectFrom('uuid_key').select('id'),
      table: 'uuid_key',
      key: ['id'],
    });
    const { rows: all } = await pool.query<{ id: string }>('SELECT id FROM uuid_key ORDER BY id');
    expect((await readAll(uuids, 33, 5)).map(({ id }) => id)).toEqual(all.map(({ id }) => id));

    await fill(
      'composite',
      `SELECT 't' || n % 3, n % 7, gen_random_uuid() FROM generate_series(1, 400) AS n`,
    );
    const composite = keysetReader({
      pool,
      query: tables.selectFrom('composite').select(['tenant', 'number', 'id']),
      table: 'composite',
      key: ['tenant', 'number', 'id'],
    });
    const { rows } = await pool.query<{ id: string }>('SELECT id FROM composite ORDER BY tenant, number, id');
    expect((await readAll(composite, 17, 4)).map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
  });

  test('a key that the rows hold as text already is not read a second time', async () => {
    await fill('number', 'SELECT 9007199254740993 + n FROM generate_series(0, 9) AS n');
    const range: KeyRange = { lower: null, upper: null };
    const { items, cursorAt } = await numbers().read({ range, after: null, limit: 10, signal });
    expect(items[0]).toEqual({ id: '9007199254740993' });
    // What a processor does to its row is nothing to the checkpoint.
    for (const item of items) item.id = 'changed';
    expect(cursorAt(9)).toEqual(['9007199254741002']);
  });

  test('a key that the rows hold otherwise is read beside them', async () => {
    await fill('number', 'SELECT 9007199254740993');
    const { INT8 } = pg.types.builtins;
    const getTypeParser = ((oid: number) =>
      oid === INT8 ? Number : pg.types.getTypeParser(oid)) as typeof pg.types.getTypeParser;
    const rounding = new pg.Pool({ ...pool.options, types: { getTypeParser } });
    try {
      const query = tables.selectFrom('number').select('id');
      const reader = keysetReader({ pool: rounding, query, table: 'number', key: ['id'] });
      const range = { lower: null, upper: null };
      const page = await reader.read({ range, after: null, limit: 1, signal });
      expect(page.items[0]?.id).not.toBe('9007199254740993');
      expect(page.keyAt(0)).toBe('9007199254740993');
    } finally {
      await rounding.end();
    }
  });

  test.for(
    [1, 2, 3].flatMap((page) =>
      [0, 1, page - 1, page, page + 1, 2 * page].map((rows) => [page, rows] as const),
    ),
  )('page %i of %i rows', async ([page, rows]) => {
    await fill('number', 'SELECT generate_series(1, $1::int)', [rows]);
    for (const partitions of [1, 2, 3]) {
      const read = await readAll(numbers(), page, partitions);
      expect(read.map(({ id }) => Number(id))).toEqual(counted(rows));
    }
  });

  test('gaps of millions', async () => {
    await fill('number', 'SELECT n * 7000000::bigint * n FROM generate_series(1, 300) AS n');
    const read = await readAll(numbers(), 7, 4);
    expect(read.map(({ id }) => Number(id))).toEqual(counted(300).map((n) => n * n * 7_000_000));
  });

  test('rows inserted above the upper key belong to another run, rows removed while reading do not shift the rest', async () => {
    await fill('number', 'SELECT generate_series(1, 100)');
    const reader = numbers();
    const { ranges } = await reader.plan({ partitions: 1, signal });
    const [range] = ranges;
    if (!range) throw new Error('no range');
    const first = await reader.read({ range, after: null, limit: 40, signal });
    await pool.query('DELETE FROM number WHERE id <= 40');
    await pool.query('INSERT INTO number SELECT generate_series(101, 120)');
    const second = await reader.read({ range, after: first.cursorAt(39), limit: 100, signal });
    expect([...first.items, ...second.items].map(({ id }) => Number(id))).toEqual(counted(100));
  });
});

test(
  'the ranges of a plan are the key space: each key is in exactly one, whatever the keys',
  { timeout: 60_000 },
  async () => {
    const key = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.bigInt({ min: 0n, max: 50n }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { maxLength: 60 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 7 }),
        async (ids, partitions, page) => {
          await fill('number', 'SELECT unnest($1::bigint[])', [ids.map(String)]);
          const plan = await numbers().plan({ partitions, signal });
          expect(plan.expected).toBe(ids.length);
          expect(plan.ranges.length).toBeLessThanOrEqual(partitions);
          expect(plan.ranges.map(({ lower }) => lower)).toEqual(
            plan.ranges.length === 0 ? [] : [null, ...plan.ranges.slice(0, -1).map(({ upper }) => upper)],
          );
          const read = [];
          for (const range of plan.ranges) {
            const part = await readRange(numbers(), range, page);
            expect(part.length, 'no empty range').toBeGreaterThan(0);
            read.push(...part);
          }
          const sorted = ids.toSorted((a, b) => (a < b ? -1 : 1)).map(String);
          expect(read.map(({ id }) => id)).toEqual(sorted);
        },
      ),
      { numRuns: 60 },
    );
  },
);

test('an offset of an earlier run is the exclusive lower end', async () => {
  await fill('number', 'SELECT generate_series(1, 100)');
  const reader = keysetReader({
    pool,
    query: tables.selectFrom('number').select('id'),
    table: 'number',
    key: ['id'],
    above: () =>
      numbers()
        .read({ range: { lower: null, upper: null }, after: null, limit: 60, signal })
        .then((page) => page.cursorAt(59)),
  });
  for (const partitions of [1, 3])
    expect((await readAll(reader, 7, partitions)).map(({ id }) => Number(id))).toEqual(
      counted(100).slice(60),
    );
});

function counted(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
