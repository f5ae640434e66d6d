import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Cursor } from '../../packages/keystride/src/contract/cursor.ts';
import type { Reader, ReadPage } from '../../packages/keystride/src/contract/reader.ts';
import { handingReader, keysetReader } from '../../packages/keystride/src/stores/postgres/keyset-reader.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import {
  columnsOf,
  lastOfEach,
  type TextRow,
} from '../../packages/keystride/src/stores/postgres/rows-of-texts.ts';
import { columnIn, namedTables } from '../../packages/keystride/src/stores/postgres/sql.ts';
import { sql } from 'kysely';
import { arbitraryValues } from '../support/arbitrary-values.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

/** Rows that are read to be handed on, as arrays where they are small, are those that are read row by row. */

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('source');
  pool = createPool(database.url, 'keystride test', 3);
  await pool.query(
    `CREATE TABLE item (id bigint, tenant text COLLATE "C", body text, number numeric, PRIMARY KEY (tenant, id))`,
  );
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

beforeEach(() => pool.query('TRUNCATE item'));

const names = ['tenant', 'id', 'body', 'number'];
/** As a sync selects them. */
const query = namedTables
  .selectFrom('item')
  .select(names.map((name) => sql<string | null>`${columnIn('item', name)}::text`.as(name)));
const rows = () => ({ pool, query, table: 'item', key: ['tenant', 'id'] });

type Bounds = { readonly limit: number; readonly bytes?: number };

async function pagesOf(reader: Reader<TextRow>, bounds: Bounds): Promise<ReadPage<TextRow>[]> {
  const { signal } = new AbortController();
  const pages: ReadPage<TextRow>[] = [];
  for (let after: Cursor | null = null; ;) {
    const page: ReadPage<TextRow> = await reader.read({
      range: { lower: null, upper: null },
      ...{ after, signal },
      ...bounds,
    });
    pages.push(page);
    const count = page.items.length;
    if (count < bounds.limit && page.passed === undefined) return pages;
    after = page.passed ?? page.cursorAt(count - 1);
  }
}

/** All that a page says of its rows. */
function told(page: ReadPage<TextRow>) {
  const { items, passed, bytesAt } = page;
  return {
    ...{ items: items.map((item) => ({ ...item })), passed },
    cursors: items.map((_, index) => page.cursorAt(index)),
    keys: items.map((_, index) => page.keyAt(index)),
    bytes: items.map((_, index) => bytesAt?.(index)),
  };
}

async function bothWays(bounds: Bounds) {
  const handed = await pagesOf(handingReader(rows()), bounds);
  const plain = await pagesOf(keysetReader(rows()), bounds);
  expect(handed.map(told)).toEqual(plain.map(told));
  return { handed, plain };
}

/** The rows as a statement gets them that takes their columns. */
async function arrived(given: readonly TextRow[], columns = names): Promise<TextRow[]> {
  const arrays = columns.map((_, index) => `$${index + 1}::text[]`);
  const { rows: found } = await pool.query<TextRow>(
    `SELECT * FROM unnest(${arrays.join(', ')}) AS arrived (${columns.join(', ')})`,
    columnsOf(given, columns),
  );
  return found;
}

const text = arbitraryValues['text'] ?? fc.constant('');
const item = fc.record({
  tenant: text,
  id: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String),
  body: fc.option(text),
  number: fc.option(arbitraryValues['numeric'] ?? fc.constant('NaN')),
});

async function insert(items: readonly TextRow[]): Promise<void> {
  await pool.query('TRUNCATE item');
  await pool.query(
    `INSERT INTO item (tenant, id, body, number)
       SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::numeric[]) ON CONFLICT DO NOTHING`,
    names.map((name) => items.map((row) => row[name])),
  );
}

test('any texts, keys and nulls are the same either way, and arrive so, whichever rows of whichever pages are written', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(item, { maxLength: 12 }),
      fc.integer({ min: 1, max: 14 }),
      fc.infiniteStream(fc.boolean()),
      async (items, limit, chosen) => {
        await insert(items);
        const { handed, plain } = await bothWays({ limit });
        const all = handed.flatMap((page) => page.items);
        const wanted = plain.flatMap((page) => page.items).map((row) => pick(row));
        expect(await arrived(all)).toEqual(wanted);
        const which = wanted.map(() => chosen.next().value === true);
        const some = <Row>(from: readonly Row[]) => from.filter((_, index) => which[index]);
        expect(await arrived(some(all))).toEqual(some(wanted));
        expect(await arrived(all.toReversed())).toEqual(wanted.toReversed());
      },
    ),
    { numRuns: 60 },
  );
}, 120_000);

test('of rows that are there twice the last is taken, by whatever they are told apart', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(item, { maxLength: 12 }),
      fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 }),
      async (items, by) => {
        await insert(items);
        const { handed, plain } = await bothWays({ limit: 5 });
        const [rowsHanded, rowsPlain] = [handed, plain].map((pages) => pages.flatMap((page) => page.items));
        if (!rowsHanded || !rowsPlain) throw new Error('nothing was read');
        const asTaken = (given: readonly TextRow[]) => lastOfEach(given, by).map((row) => pick(row));
        expect(asTaken(rowsHanded)).toEqual(asTaken(rowsPlain));
        // What another reader has read is the same once more.
        const again = (await pagesOf(handingReader(rows()), { limit: 4 })).flatMap((page) => page.items);
        const key = ['tenant', 'id'];
        expect(lastOfEach([...rowsHanded, ...again], key)).toHaveLength(rowsHanded.length);
        expect(asTaken([...rowsHanded, ...again])).toEqual(asTaken([...rowsPlain, ...rowsPlain]));
        expect(lastOfEach(rowsHanded, key)).toBe(rowsHanded);
      },
    ),
    { numRuns: 60 },
  );
}, 120_000);

const pick = (row: TextRow) => Object.fromEntries(names.map((name) => [name, row[name] ?? null]));

test('a page ends where it would have, and tells as many bytes, however large its rows are', async () => {
  const kilobytes = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 2 }) },
    { weight: 1, arbitrary: fc.integer({ min: 3, max: 900 }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(kilobytes, { maxLength: 60 }),
      fc.integer({ min: 5, max: 40 }),
      fc.constantFrom(undefined, 20_000, 200_000, 16_000_000),
      async (sizes, limit, bytes) => {
        await pool.query('TRUNCATE item');
        await pool.query(
          `INSERT INTO item SELECT id, 'a', repeat('x', size * 1024) FROM unnest($1::int[]) WITH ORDINALITY AS of (size, id)`,
          [sizes],
        );
        await bothWays({ limit, ...(bytes === undefined ? {} : { bytes }) });
      },
    ),
    { numRuns: 40 },
  );
}, 120_000);

/** Whether a row is still in the arrays of its page. */
const isHanded = (row: TextRow | undefined) =>
  row !== undefined && !Array.isArray(columnsOf([row], ['id'])[0]);

test('rows are read as arrays once a page of them was small; those of a page with a large one, and of pages after it, as rows', async () => {
  await pool.query(`INSERT INTO item SELECT n, 'a', 'small' FROM generate_series(1, 3000) AS n`);
  await pool.query(`UPDATE item SET body = repeat('x', 6000000) WHERE id = 25`);
  const { handed } = await bothWays({ limit: 10, bytes: 16_000_000 });
  const as = handed.map(({ items }) => isHanded(items[0]));
  expect(as.slice(0, 4)).toEqual([false, true, false, false]);
  expect(as.slice(-30, -1)).not.toContain(false);
});

test.each([
  ['a number', sql`7`],
  ['a fixed length', sql`'a '::char(3)`],
  ['JSON', sql`'[1]'::json`],
  ['an array', sql`array['a']`],
  ['bytes', sql`'\\x00'::bytea`],
])('what the driver gives as something else is read as rows: %s', async (_, value) => {
  await pool.query(`INSERT INTO item VALUES (0, 'a'), (1, 'a')`);
  const other = { ...rows(), query: query.select(value.as('other') as never) };
  const [, page] = await pagesOf(handingReader(other), { limit: 1 });
  const [, plain] = await pagesOf(keysetReader(other), { limit: 1 });
  expect(page?.items).toEqual(plain?.items);
  expect(isHanded(page?.items[0])).toBe(false);
});

describe('to whoever looks at one, a row is as any other', () => {
  const one = async () => {
    await pool.query(`INSERT INTO item VALUES (0, 'a', NULL, 1), (1, 'a,b', NULL, 1.50)`);
    const [, page] = await pagesOf(handingReader(rows()), { limit: 1 });
    const [row] = page?.items ?? [];
    if (!row || !isHanded(row)) throw new Error('it is not handed on');
    return row;
  };

  test('it has its columns and nothing else', async () => {
    const row = await one();
    const plain = { tenant: 'a,b', id: '1', body: null, number: '1.50' };
    expect(row).toMatchObject(plain);
    expect(JSON.parse(JSON.stringify(row))).toMatchObject(plain);
    expect(Object.values(row)).toEqual([...Object.values(plain), 'a,b', '1']);
    expect(['body' in row, 'other' in row, row['other'], row['constructor']]).toEqual([
      true,
      false,
      undefined,
      Object,
    ]);
    expect(await arrived([row], ['id', 'other'])).toEqual([{ id: '1', other: null }]);
    expect(await arrived([row, { ...plain }])).toEqual([plain, plain]);
  });

  test('it cannot be changed without a word', async () => {
    const row = (await one()) as Record<string, string | null>;
    expect(() => (row['body'] = 'other')).toThrow(TypeError);
    expect(() => delete row['body']).toThrow(TypeError);
    expect(() => Object.defineProperty(row, 'body', { value: 'other' })).toThrow(TypeError);
    expect(row['body']).toBeNull();
  });
});
