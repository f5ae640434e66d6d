import fc from 'fast-check';
import { type Collection, type Document, MongoClient, ObjectId, UUID } from 'mongodb';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Cursor, cursorOf, type KeyRange } from '../../packages/keystride/src/contract/cursor.ts';
import type { RangeSplit, Reader } from '../../packages/keystride/src/contract/reader.ts';
import { mongoKeysetReader } from '../../packages/keystride/src/stores/mongo/keyset-reader.ts';
import { keysetReader } from '../../packages/keystride/src/stores/postgres/keyset-reader.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { typedSql } from '../../packages/keystride/src/stores/postgres/sql.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { readRange } from './reading.ts';

interface Columns {
  id: string;
  part: string;
  state: string;
}

const tables = typedSql<Record<string, Columns>>();
const signal = new AbortController().signal;
let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('source');
  pool = createPool(database.url, 'keystride test', 4);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

function tableReader(name: string, key: (keyof Columns)[], state?: string): Reader<Partial<Columns>> {
  const query = tables.selectFrom(name).select(key.map((column) => `${name}.${column}` as const));
  const filtered = state === undefined ? query : query.where(`${name}.state`, '=', state);
  return keysetReader({ pool, query: filtered, table: name, key }) as Reader<Partial<Columns>>;
}

async function splitOf(
  reader: Reader<unknown>,
  range: KeyRange,
  after: Cursor | null = null,
  fewest = 2,
): Promise<RangeSplit | null> {
  const split = await reader.split?.({ range, after, fewest, signal });
  if (split === undefined) throw new Error('the reader cannot split');
  return split;
}

/** The keys in a range, by reading it as a job does. */
async function keysOf(reader: Reader<unknown>, range: KeyRange, after: Cursor | null = null) {
  return (await readRange(reader, range, 7, after)).map(({ key }) => key);
}

/**
 * Cuts ranges of a plan, from places inside them, again and again: the parts hold what the whole held, in its order, and
 * none is empty.
 */
async function expectCleanCuts(reader: Reader<unknown>, partitions: number, skipped: number): Promise<void> {
  const { ranges } = await reader.plan({ partitions, signal });
  for (const range of ranges) {
    const all = await readRange(reader, range, 7);
    const after = all[Math.min(skipped, all.length) - 1]?.cursor ?? null;
    const left = all.slice(after === null ? 0 : skipped).map(({ key }) => key);
    await expectCleanCut(reader, range, after, left);
  }
}

async function expectCleanCut(
  reader: Reader<unknown>,
  range: KeyRange,
  after: Cursor | null,
  left: readonly string[],
): Promise<void> {
  const split = await splitOf(reader, range, after);
  if (left.length < 2) {
    expect(split).toBeNull();
    return;
  }
  if (split === null) throw new Error(`${left.length} items are left and were not cut`);
  expect(split.items).toBe(left.length);
  const low = { lower: range.lower, upper: split.at };
  const high = { lower: split.at, upper: range.upper };
  const [below, above] = [await keysOf(reader, low, after), await keysOf(reader, high)];
  expect([...below, ...above]).toEqual(left);
  expect(Math.abs(below.length - above.length)).toBeLessThanOrEqual(1);
  if (left.length < 5) return;
  await expectCleanCut(reader, low, after, below);
  await expectCleanCut(reader, high, null, above);
}

const few = {
  rows: fc.nat({ max: 25 }),
  partitions: fc.integer({ min: 1, max: 4 }),
  skipped: fc.nat({ max: 9 }),
};

const keyTypes: Record<string, { key: (keyof Columns)[]; columns: string; row: string }> = {
  bigint: { key: ['id'], columns: 'id bigint PRIMARY KEY', row: '9007199254740990 + n * n' },
  uuid: { key: ['id'], columns: 'id uuid PRIMARY KEY', row: 'gen_random_uuid()' },
  text: {
    key: ['id'],
    columns: 'id text PRIMARY KEY',
    row: `CASE n % 3 WHEN 0 THEN 'a-' WHEN 1 THEN 'B' ELSE '€' END || n`,
  },
  timestamptz: {
    key: ['id'],
    columns: 'id timestamptz PRIMARY KEY',
    row: `timestamptz '2025-11-02' + n * interval '1 microsecond'`,
  },
  'two columns': {
    key: ['part', 'id'],
    columns: 'part text NOT NULL, id bigint NOT NULL, PRIMARY KEY (part, id)',
    row: `CASE WHEN n % 4 < 3 THEN 'large' ELSE 'small' END, n`,
  },
};

describe('PostgreSQL', () => {
  test.each(Object.entries(keyTypes))(
    'what is left of a range by %s is cut without gap or overlap',
    async (_, made) => {
      await fc.assert(
        fc.asyncProperty(few.rows, few.partitions, few.skipped, async (rows, partitions, skipped) => {
          await pool.query(`DROP TABLE IF EXISTS cut_few; CREATE TABLE cut_few (${made.columns})`);
          await pool.query(
            `INSERT INTO cut_few SELECT ${made.row} FROM generate_series(1, ${rows}::bigint) AS n`,
          );
          await expectCleanCuts(tableReader('cut_few', made.key), partitions, skipped);
        }),
        { numRuns: 6 },
      );
    },
  );

  test('too few rows are left: the range stays whole', async () => {
    await pool.query(
      `CREATE TABLE cut_short (id bigint PRIMARY KEY); INSERT INTO cut_short SELECT generate_series(1, 20)`,
    );
    const reader = tableReader('cut_short', ['id']);
    const range = { lower: cursorOf(['4']), upper: cursorOf(['20']) };
    expect(await splitOf(reader, range, null, 17)).toBeNull();
    expect(await splitOf(reader, range, null, 16)).toEqual({ at: ['12'], items: 16 });
    expect(await splitOf(reader, range, cursorOf(['5']), 16)).toBeNull();
    expect(await splitOf(reader, range, cursorOf(['19']))).toBeNull();
  });

  test(
    'rows that came after the statistics are cut where they are, not where those say',
    { timeout: 60_000 },
    async () => {
      await pool.query(`CREATE TABLE cut_stale (id bigint PRIMARY KEY, state text NOT NULL) WITH (autovacuum_enabled = off);
      INSERT INTO cut_stale SELECT n * 1000, 'open' FROM generate_series(1, 1000) AS n; ANALYZE cut_stale;
      INSERT INTO cut_stale SELECT 500000 + n * 3, CASE WHEN n % 2 = 0 THEN 'open' ELSE 'done' END
        FROM generate_series(1, 100000) AS n WHERE n * 3 % 1000 <> 0`);
      const range = { lower: cursorOf(['400000']), upper: cursorOf(['1000000']) };
      for (const state of [undefined, 'open']) {
        const split = await splitOf(tableReader('cut_stale', ['id'], state), range);
        const { rows } = await pool.query<{ below: string; above: string }>(
          `SELECT count(*) FILTER (WHERE id <= $1) AS below, count(*) FILTER (WHERE id > $1) AS above
           FROM cut_stale WHERE id > 400000 AND ($2::text IS NULL OR state = $2)`,
          [split?.at[0], state],
        );
        const [below, above] = [Number(rows[0]?.below), Number(rows[0]?.above)];
        expect(Math.max(below, above) / (below + above), `${below} and ${above}`).toBeLessThan(0.75);
      }
    },
  );
});

describe('MongoDB', () => {
  let client: MongoClient;
  let collection: Collection<Document>;

  beforeAll(async () => {
    client = await MongoClient.connect(inject('keystride').mongodbUrl ?? '');
    collection = client.db(`keystride_test_split_${process.pid}`).collection('documents');
  });

  afterAll(async () => {
    await collection?.db.dropDatabase();
    await client?.close();
  });

  const ids: readonly ((n: number) => unknown)[] = [
    (n) => n * 3,
    (n) => `text-${n}`,
    () => new UUID(),
    () => new ObjectId(),
    (n) => new Date(1_700_000_000_000 + n),
  ];

  test('what is left of a range of _id of any type is cut without gap or overlap', async () => {
    await fc.assert(
      fc.asyncProperty(
        ...([few.rows, few.partitions, few.skipped, fc.integer({ min: 1, max: ids.length })] as const),
        async (rows, partitions, skipped, kinds) => {
          await collection.drop();
          const documents = Array.from({ length: rows }, (_, n) => ({
            _id: ids[n % kinds]?.(n),
            open: n % 3 > 0,
          }));
          if (rows > 0) await collection.insertMany(documents as Document[]);
          await expectCleanCuts(
            mongoKeysetReader({ collection, filter: { open: true } }),
            partitions,
            skipped,
          );
        },
      ),
      { numRuns: 8 },
    );
  });
});
