import type pg from 'pg';
import { type SelectQueryBuilder, sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cursor } from '../../packages/keystride/src/contract/cursor.ts';
import type { Reader, ReadPage } from '../../packages/keystride/src/contract/reader.ts';
import { UnusableKey } from '../../packages/keystride/src/stores/postgres/key-columns.ts';
import { keysetRanges } from '../../packages/keystride/src/stores/postgres/keyset-ranges.ts';
import { keysetReader } from '../../packages/keystride/src/stores/postgres/keyset-reader.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { UnusableQuery } from '../../packages/keystride/src/stores/postgres/query-shape.ts';
import { namedTables, typedSql } from '../../packages/keystride/src/stores/postgres/sql.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

interface Tables {
  item: { id: string; customer_id: number; day: string; note: string | null };
  tag: { item_id: string; name: string };
  body: { id: number; text: string };
}
type Query<Table extends keyof Tables> = SelectQueryBuilder<Tables, Table, object>;

const tables = typedSql<Tables>();
const signal = new AbortController().signal;
let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('target');
  pool = createPool(database.url, 'keystride test');
  await pool.query(`
    CREATE TABLE item (id bigint PRIMARY KEY, customer_id int NOT NULL, day date NOT NULL, note text);
    INSERT INTO item SELECT n, 1 + (n - 1) / 7, '2025-10-01', 'n' FROM generate_series(1, 100) AS n;
    CREATE TABLE tag (item_id bigint NOT NULL, name text NOT NULL, PRIMARY KEY (item_id, name));
    INSERT INTO tag SELECT n, 'a' FROM generate_series(1, 100) AS n;
    CREATE TABLE body (id int PRIMARY KEY, text text)`);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

const items = () => tables.selectFrom('item').select('item.id') as Query<'item'>;
const reading = (query: Query<'item'>, key: (keyof Tables['item'])[] = ['id']) =>
  keysetReader<Tables, 'item', object>({ pool, query, table: 'item', key });

async function pagesOf<Row>(reader: Reader<Row>, limit: number, bytes?: number): Promise<ReadPage<Row>[]> {
  const { ranges } = await reader.plan({ partitions: 1, signal });
  const pages: ReadPage<Row>[] = [];
  const range = ranges[0] ?? { lower: null, upper: null };
  for (let after: Cursor | null = null; ;) {
    const page = await reader.read({
      range,
      after,
      limit,
      signal,
      ...(bytes === undefined ? {} : { bytes }),
    });
    pages.push(page);
    if (page.items.length < limit && !page.passed) return pages;
    after = page.passed ?? page.cursorAt(page.items.length - 1);
  }
}

describe('a key that would lose rows is refused', () => {
  test('when it may be null', async () => {
    const reader = reading(items(), ['note', 'id']);
    await expect(reader.plan({ partitions: 1, signal })).rejects.toThrow(UnusableKey);
    await expect(reader.plan({ partitions: 1, signal })).rejects.toThrow(/item\.note may be null.*NOT NULL/);
  });

  test('when there is no such column', async () => {
    const reader = reading(items(), ['id', 'other'] as unknown as 'id'[]);
    await expect(reader.plan({ partitions: 1, signal })).rejects.toThrow(/item has no column other/);
  });
});

describe('a key that does not tell rows apart is refused', () => {
  const indexes: readonly (readonly [string, string])[] = [
    ['no index', ''],
    ['an index that is not unique', 'CREATE INDEX i ON item (customer_id)'],
    ['a partial unique index', 'CREATE UNIQUE INDEX i ON item (customer_id) WHERE id % 7 = 1'],
    ['a unique index on an expression', 'CREATE UNIQUE INDEX i ON item ((customer_id * 1000 + id))'],
    ['a unique index of more columns', 'CREATE UNIQUE INDEX i ON item (customer_id, id)'],
    ['included columns', 'CREATE UNIQUE INDEX i ON item (id) INCLUDE (customer_id)'],
  ];
  test.each(indexes)('%s', async (_, index) => {
    await pool.query(index);
    try {
      const reader = reading(items(), ['customer_id']);
      await expect(reader.plan({ partitions: 1, signal })).rejects.toThrow(UnusableKey);
      const range = { lower: null, upper: null };
      await expect(reader.read({ range, after: null, limit: 10, signal })).rejects.toThrow(
        /tell the rows of item apart/,
      );
      const ranges = keysetRanges({ pool, query: items(), table: 'item', key: ['customer_id'] });
      await expect(ranges.plan({ partitions: 1, signal })).rejects.toThrow(UnusableKey);
    } finally {
      await pool.query('DROP INDEX IF EXISTS i');
    }
  });

  test('a deferrable unique constraint, a nullable one, an invalid one', async () => {
    await pool.query(`CREATE TABLE odd (id bigint NOT NULL UNIQUE DEFERRABLE, maybe int UNIQUE, twice int NOT NULL);
      INSERT INTO odd VALUES (1, 1, 1), (2, 2, 1)`);
    await pool.query('CREATE UNIQUE INDEX CONCURRENTLY ON odd (twice)').catch(() => undefined);
    const odd = namedTables.withTables<{ odd: { id: string; maybe: number; twice: number } }>();
    for (const key of ['id', 'maybe', 'twice'] as const) {
      const reader = keysetReader({
        pool,
        query: odd.selectFrom('odd').select('id'),
        table: 'odd',
        key: [key],
      });
      await expect(reader.plan({ partitions: 1, signal })).rejects.toThrow(UnusableKey);
    }
  });

  test('more columns than a unique key are one too; and so is one of which the query fixes the others', async () => {
    expect(
      (await pagesOf(reading(items(), ['customer_id', 'id']), 10)).flatMap(({ items: all }) => all),
    ).toHaveLength(100);
    const tagged = (query: SelectQueryBuilder<Tables, 'tag', object>) =>
      keysetReader<Tables, 'tag', object>({ pool, query, table: 'tag', key: ['item_id'] }).plan({
        partitions: 1,
        signal,
      });
    const tags = tables.selectFrom('tag').select('item_id') as Query<'tag'>;
    await expect(tagged(tags.where('name', '=', 'a'))).resolves.toMatchObject({ expected: 100 });
    await expect(tagged(tags.where('tag.name', '=', sql<string>`${'a'}::text`))).resolves.toMatchObject({
      expected: 100,
    });
    await expect(tagged(tags.where('name', '>=', 'a'))).rejects.toThrow(UnusableKey);
    await expect(tagged(tags.where((e) => e.or([e('name', '=', 'a'), e('name', '=', 'b')])))).rejects.toThrow(
      UnusableKey,
    );
    await expect(tagged(tags.whereRef('name', '=', 'name'))).rejects.toThrow(UnusableKey);
    await expect(tagged(tags.where('name', '=', sql<string>`lower(name)`))).rejects.toThrow(UnusableKey);
  });
});

test('columns of one name are refused, and so is one that is called as ours', async () => {
  for (const [query, name] of [
    [items().innerJoin('tag', 'item_id', 'item.id').select(['tag.name as id']), 'id'],
    [items().select('note as keystride_key_0'), 'keystride_key_0'],
  ] as const) {
    const read = reading(query, ['customer_id', 'id']).read({
      ...{ range: { lower: null, upper: null }, after: null, limit: 10, signal },
    });
    await expect(read).rejects.toThrow(`two columns that are called ${name},`);
  }
});

test('a function that makes several rows of one is found at the border of a page', async () => {
  for (const several of [
    sql<number>`unnest(ARRAY[1, 2])`,
    sql<number>`1 + ${namedTables.fn<number>('generate_series', [sql.lit(1), sql.lit(2)])}`,
  ]) {
    const reader = reading(items().select(several.as('n')) as Query<'item'>);
    await expect(pagesOf(reader, 10)).rejects.toThrow('the row of item with key 1 more than once');
    await expect(pagesOf(reader, 1)).rejects.toThrow('more than once');
  }
});

test('a query that stands for the table under its name, and repeats its rows, is found at the border of a page', async () => {
  const twice = tables
    .with('item', (db) =>
      db
        .selectFrom('tag')
        .crossJoin(sql<{ n: number }>`generate_series(1, 2)`.as('n'))
        .select(sql<string>`tag.item_id`.as('id')),
    )
    .selectFrom('item')
    .select('item.id');
  for (const limit of [1, 10, 15])
    await expect(pagesOf(reading(twice as Query<'item'>), limit)).rejects.toThrow('more than once');
});

test('a window of a subquery is one value for each row', () => {
  const place = sql<number>`(select max(place) from (select row_number() over () as place from tag) as places)`;
  expect(() => reading(items().select(place.as('n')) as Query<'item'>)).not.toThrow();
});

describe('a query that cannot be paged is refused when the reader is made', () => {
  const shapes: readonly (readonly [string, (query: Query<'item'>) => unknown])[] = [
    ['orderBy', (query) => query.orderBy('item.note')],
    ['limit', (query) => query.limit(10)],
    ['offset', (query) => query.offset(10)],
    ['fetch', (query) => query.fetch(10)],
    ['forUpdate', (query) => query.forUpdate()],
    ['skipLocked', (query) => query.forShare().skipLocked()],
    ['distinct', (query) => query.distinct()],
    ['distinctOn', (query) => query.distinctOn('item.customer_id')],
    ['groupBy', (query) => query.groupBy('item.id')],
    ['union', (query) => query.unionAll(items())],
    ['count', (query) => query.clearSelect().select(({ fn }) => fn.countAll().as('count'))],
    ['window', (query) => query.select(({ fn }) => fn.agg<number>('row_number').over().as('place'))],
    ['raw window', (query) => query.select(sql<number>`row_number() over (order by item.id)`.as('place'))],
    [
      'window in an expression',
      (query) => query.select(({ fn }) => fn.coalesce(fn.sum('item.customer_id').over(), sql.lit(0)).as('n')),
    ],
    [
      'window in a raw expression',
      (query) => query.select(({ fn }) => sql`1 + ${fn.sum('item.customer_id').over()}`.as('n')),
    ],
    [
      'raw window beside a subquery',
      (query) => query.select(sql`coalesce(sum(customer_id) over (), (select max(id) from item))`.as('n')),
    ],
    [
      'rows that it deletes',
      () =>
        tables
          .with('gone', (db) => db.deleteFrom('item').where('note', 'is', null).returning('id'))
          .selectFrom('item')
          .select('item.id'),
    ],
    ['right join', (query) => query.rightJoin('tag', 'tag.item_id', 'item.id')],
    ['full join', (query) => query.fullJoin('tag', 'tag.item_id', 'item.id')],
    [
      'the left side of another',
      () => tables.selectFrom('tag').leftJoin('item', 'item.id', 'tag.item_id').select('name'),
    ],
  ];
  test.each(shapes)('%s', (_, shape) => {
    expect(() => reading(shape(items()) as Query<'item'>)).toThrow(UnusableQuery);
    expect(() =>
      keysetRanges({ pool, query: shape(items()) as Query<'item'>, table: 'item', key: ['id'] }),
    ).toThrow(UnusableQuery);
  });
});

describe('joins', () => {
  const joined = () => items().innerJoin('tag', 'tag.item_id', 'item.id').select('tag.name') as Query<'item'>;

  test('one row for each is read; of several, each page and each border between two says so', async () => {
    for (const limit of [7, 10, 1000])
      expect((await pagesOf(reading(joined()), limit)).flatMap(({ items: all }) => all)).toHaveLength(100);
    for (const doubled of [1, 10, 100]) {
      await pool.query(`INSERT INTO tag VALUES (${doubled}, 'b')`);
      for (const limit of [10, 1000])
        for (const bytes of [undefined, 500])
          await expect(pagesOf(reading(joined()), limit, bytes)).rejects.toThrow(
            `key ${doubled} more than once`,
          );
      await pool.query(`DELETE FROM tag WHERE name = 'b'`);
    }
  });

  test('and across pages that end by their bytes, each once', async () => {
    for (const bytes of [1000, 100_000])
      expect((await pagesOf(reading(joined()), 1000, bytes)).flatMap(({ items: all }) => all)).toHaveLength(
        100,
      );
  });
});

describe('large rows', () => {
  const bodies = () =>
    keysetReader<Tables, 'body', { id: number; text: string }>({
      pool,
      query: tables.selectFrom('body').selectAll(),
      table: 'body',
      key: ['id'],
    });

  test('pages end by bytes wherever the rows become large, and every row comes once', async () => {
    await pool.query(`TRUNCATE body;
      INSERT INTO body SELECT n, 'small' FROM generate_series(1, 3000) AS n;
      INSERT INTO body SELECT n, repeat('x', 1000000) FROM generate_series(3001, 3030) AS n;
      INSERT INTO body SELECT n, repeat('y', 20000000) FROM generate_series(3031, 3032) AS n;
      INSERT INTO body SELECT n, 'small' FROM generate_series(3033, 6000) AS n`);
    const most = 4_000_000;
    const pages = await pagesOf(bodies(), 5000, most);
    expect(pages.flatMap(({ items: all }) => all.map(({ id }) => id))).toEqual(
      Array.from({ length: 6000 }, (_, index) => index + 1),
    );
    for (const page of pages) {
      const bytes = page.items.reduce((sum, { text }) => sum + text.length, 0);
      const last = page.items.at(-1)?.text.length ?? 0;
      // What makes it full is in it.
      expect(bytes - last).toBeLessThan(most);
    }
    expect(pages.length).toBeLessThan(60);
  });

  test('an ordinary page has no sizes, and ends where its range ends', async () => {
    await pool.query(`TRUNCATE body; INSERT INTO body SELECT n, 'small' FROM generate_series(1, 100) AS n`);
    const [page, ...others] = await pagesOf(bodies(), 5000, 16_000_000);
    expect(others).toEqual([]);
    expect(page).not.toHaveProperty('passed');
    expect(page).not.toHaveProperty('bytesAt');
  });
});
