import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cursor } from '../../packages/keystride/src/contract/cursor.ts';
import type { ReadPlan } from '../../packages/keystride/src/contract/reader.ts';
import { keysetReader } from '../../packages/keystride/src/stores/postgres/keyset-reader.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { typedSql } from '../../packages/keystride/src/stores/postgres/sql.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

interface Columns {
  id: string;
  part: string;
  state: string;
}

const tables = typedSql<Record<string, Columns>>();
const signal = new AbortController().signal;
const noCase = `CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`;
let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('source');
  pool = createPool(database.url, 'keystride test', 4);
  await pool.query(noCase);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

/** How a table of a test is made. */
interface Sample {
  readonly key: readonly (keyof Columns)[];
  readonly columns: string;
  /** What makes row n. */
  readonly row: string;
}

const single = (type: string, row: string): Sample => ({
  key: ['id'],
  columns: `id ${type} PRIMARY KEY`,
  row,
});

const composite: Sample = {
  key: ['part', 'id'],
  columns: 'part text NOT NULL, id uuid NOT NULL, PRIMARY KEY (part, id)',
  row: `CASE WHEN n % 10 < 9 THEN 'large' ELSE 'small-' || n % 500 END, gen_random_uuid()`,
};

const keyTypes: Record<string, Sample> = {
  bigint: single('bigint', 'n * 1000003'),
  uuid: single('uuid', 'gen_random_uuid()'),
  text: single('text', `md5(n::text) || '-' || n`),
  'text in another order': single('text COLLATE "C"', `CASE WHEN n % 2 = 0 THEN 'a' ELSE 'B' END || n`),
  'text of any case': single('text COLLATE nocase', `CASE WHEN n % 2 = 0 THEN 'a' ELSE 'B' END || n`),
  timestamptz: single('timestamptz', `timestamptz '2025-11-02' + n * n * interval '7 microseconds'`),
  'timestamp(3)': single('timestamp(3)', `timestamp '2025-11-02' + n * interval '1 millisecond'`),
  numeric: single('numeric', 'n * n / 7.0'),
  varchar: single('varchar(20)', `lpad(n::text, 10, '0')`),
  composite,
};

async function make(
  name: string,
  { columns, row }: Sample,
  rows: number,
  { analyse = true } = {},
): Promise<void> {
  await pool.query(
    `DROP TABLE IF EXISTS ${name}; CREATE UNLOGGED TABLE ${name} (${columns}) WITH (autovacuum_enabled = off)`,
  );
  await pool.query(`INSERT INTO ${name} SELECT ${row} FROM generate_series(1, ${rows}::bigint) AS n`);
  if (analyse) await pool.query(`ANALYZE ${name}`);
}

function reader(name: string, key: Sample['key'], state?: string) {
  const query = tables.selectFrom(name).select(key.map((column) => `${name}.${column}` as const));
  const filtered = state === undefined ? query : query.where(`${name}.state`, '=', state);
  return keysetReader({ pool, query: filtered, table: name, key: [...key] });
}

/**
 * The rows in each range, counted by the database. Checks that the ranges follow one another from the lowest key to
 * the highest, each above the one before.
 */
async function rowsOf(
  name: string,
  key: Sample['key'],
  { ranges }: ReadPlan,
  filter = 'true',
): Promise<number[]> {
  expect(ranges.map(({ lower }) => lower)).toEqual([null, ...ranges.slice(0, -1).map(({ upper }) => upper)]);
  const types = await pool.query<{ name: string; type: string }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = '${name}'::regclass`,
  );
  const values = (first: number) =>
    key
      .map((column, index) => `$${first + index}::${types.rows.find((row) => row.name === column)?.type}`)
      .join(', ');
  const highest = `SELECT ${key.join(', ')} FROM ${name} WHERE ${filter} ORDER BY ${key.map((column) => `${column} DESC`).join(', ')} LIMIT 1`;
  const counts: number[] = [];
  for (const { lower, upper } of ranges) {
    const above = lower ? `AND (${key.join(', ')}) > (${values(key.length + 1)})` : '';
    const { rows } = await pool.query<{ count: string }>(
      `SELECT count(*) FROM ${name} WHERE ${filter} AND (${key.join(', ')}) <= (${values(1)}) ${above}`,
      [...(upper ?? []), ...(lower ?? [])],
    );
    counts.push(Number(rows[0]?.count));
  }
  const last = await pool.query<{ last: boolean }>(
    `SELECT (${key.join(', ')}) = (${values(1)}) AS last FROM (${highest}) AS highest`,
    [...(ranges.at(-1)?.upper ?? [])],
  );
  expect(last.rows).toEqual([{ last: true }]);
  return counts;
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

describe.each(Object.entries(keyTypes))('a key of %s', (type, sample) => {
  const name = `key_${type.replaceAll(/\W/g, '_')}`;
  const rows = 60_000;

  beforeAll(() => make(name, sample, rows, { analyse: false }));

  test.for([
    { analyse: false, partitions: 3 },
    { analyse: false, partitions: 40 },
    { analyse: true, partitions: 7 },
  ])('is cut evenly and completely: %o', async ({ analyse, partitions }) => {
    if (analyse) await pool.query(`ANALYZE ${name}`);
    const plan = await reader(name, sample.key).plan({ partitions, signal });
    const counts = await rowsOf(name, sample.key, plan);
    expect(counts).toHaveLength(partitions);
    expect(sum(counts)).toBe(rows);
    expect(Math.max(...counts)).toBeLessThanOrEqual((2 * rows) / partitions);
  });
});

describe('a plan of a few keys', () => {
  test.each(Object.entries(keyTypes))('of %s has every key in exactly one range', async (_, sample) => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 40 }), fc.integer({ min: 1, max: 9 }), async (rows, partitions) => {
        await make('few', sample, rows, { analyse: false });
        const plan = await reader('few', sample.key).plan({ partitions, signal });
        expect(plan.expected).toBe(rows);
        expect(plan.ranges.length).toBe(Math.min(rows, partitions));
        if (rows === 0) return;
        const counts = await rowsOf('few', sample.key, plan);
        expect(sum(counts)).toBe(rows);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
      { numRuns: 8 },
    );
  });
});

/**
 * A plan takes 5 to 170 ms on a quiet machine; reading all the keys of a million rows, ten times as long. On a busy one
 * any of them may take long, so the quickest of a few counts.
 */
const atMostMs = 1000;
const tries = 8;

describe('a million rows', () => {
  const rows = 1_000_000;
  /** Enough for what need not be timed. */
  const fewer = 300_000;
  const skewed = single(
    'bigint',
    // Nine of ten rows in the last hundredth of the key space.
    'CASE WHEN n % 10 = 0 THEN n * 99 ELSE 99000000 + n END',
  );

  async function planned(
    name: string,
    key: Sample['key'],
    partitions: number,
    state?: string,
  ): Promise<{ plan: ReadPlan; milliseconds: number }> {
    const source = reader(name, key, state);
    // The first use of a connection loads the catalogue.
    await source.plan({ partitions: 1, signal });
    for (let attempt = 1; ; attempt++) {
      const started = performance.now();
      const plan = await source.plan({ partitions, signal });
      const milliseconds = performance.now() - started;
      if (milliseconds < atMostMs || attempt === tries) return { plan, milliseconds };
    }
  }

  beforeAll(() => make('skewed', skewed, rows, { analyse: false }));

  test.for([
    { analyse: false, how: 'from a sample' },
    { analyse: true, how: 'from the statistics' },
  ])('with skewed keys are planned $how in milliseconds', { timeout: 60_000 }, async ({ analyse }) => {
    if (analyse) await pool.query('ANALYZE skewed');
    for (const partitions of [4, 8, 16]) {
      const { plan, milliseconds } = await planned('skewed', ['id'], partitions);
      const counts = await rowsOf('skewed', ['id'], plan);
      expect(counts).toHaveLength(partitions);
      expect(sum(counts)).toBe(rows);
      expect(Math.max(...counts)).toBeLessThanOrEqual((2 * rows) / partitions);
      expect(milliseconds).toBeLessThan(atMostMs);
    }
  });

  test('grown tenfold since their statistics were taken', { timeout: 60_000 }, async () => {
    await make('grown', single('bigint', 'n'), fewer / 10);
    await pool.query(`INSERT INTO grown SELECT n FROM generate_series(${fewer / 10 + 1}, ${fewer}) AS n`);
    const { plan } = await planned('grown', ['id'], 8);
    const counts = await rowsOf('grown', ['id'], plan);
    expect(sum(counts)).toBe(fewer);
    expect(Math.max(...counts)).toBeLessThanOrEqual((2 * fewer) / 8);
  });

  test('of two columns', { timeout: 60_000 }, async () => {
    await make('two_columns', composite, fewer);
    const { plan, milliseconds } = await planned('two_columns', composite.key, 8);
    const counts = await rowsOf('two_columns', composite.key, plan);
    expect(sum(counts)).toBe(fewer);
    expect(Math.max(...counts)).toBeLessThanOrEqual((2 * fewer) / 8);
    expect(milliseconds).toBeLessThan(atMostMs);
  });

  test('of which a filter matches few, in one corner', { timeout: 60_000 }, async () => {
    const sample: Sample = {
      key: ['id'],
      columns: 'id bigint PRIMARY KEY, state text NOT NULL',
      row: `n, CASE WHEN n > 900000 AND n % 2 = 0 THEN 'open' ELSE 'closed' END`,
    };
    await make('corner', sample, rows);
    for (const partitions of [2, 8]) {
      const { plan } = await planned('corner', ['id'], partitions, 'open');
      const counts = await rowsOf('corner', ['id'], plan, `state = 'open'`);
      expect(sum(counts)).toBe(50_000);
      expect(Math.max(...counts)).toBeLessThanOrEqual((2 * 50_000) / partitions);
      expect(plan.expected).toBe(50_000);
    }
  });

  test(
    'in the partitions of a table, whose rows of the same place are sampled alike',
    { timeout: 60_000 },
    async () => {
      await pool.query(`CREATE TABLE parted (id bigint PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (100000);
      CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (100000) TO (MAXVALUE);
      INSERT INTO parted SELECT generate_series(1, ${fewer}); ANALYZE parted`);
      // A range of twice the mean comes up once in 10^9 plans, so of many plans none may be near it.
      for (let plans = 0; plans < 20; plans++) {
        const { plan } = await planned('parted', ['id'], 8);
        const counts = await rowsOf('parted', ['id'], plan);
        expect(sum(counts)).toBe(fewer);
        expect(Math.max(...counts)).toBeLessThanOrEqual((2 * fewer) / 8);
      }
    },
  );
});

test('keys that an earlier run has read are not planned again, however the rest is cut', async () => {
  await make('later', single('bigint', 'n'), 300_000);
  const above = ['200000'] as unknown as Cursor;
  const later = keysetReader({
    pool,
    query: tables.selectFrom('later').select('later.id'),
    table: 'later',
    key: ['id'],
    above: () => Promise.resolve(above),
  });
  const { ranges } = await later.plan({ partitions: 5, signal });
  expect(ranges.map(({ lower }) => lower)).toEqual([above, ...ranges.slice(0, -1).map(({ upper }) => upper)]);
  const ends = [200_000, ...ranges.map(({ upper }) => Number(upper?.[0]))];
  expect(ends.at(-1)).toBe(300_000);
  const sizes = ends.slice(1).map((end, index) => end - (ends[index] ?? 0));
  expect(Math.min(...sizes)).toBeGreaterThan(0);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(40_000);
});
