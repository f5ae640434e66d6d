import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cursorOf } from '../../packages/keystride/src/contract/cursor.ts';
import { keysetReader } from '../../packages/keystride/src/stores/postgres/keyset-reader.ts';
import type { TargetDatabase } from '../../src/tables.ts';
import { target } from '../../src/tables.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

interface Event {
  at: string;
  name: string;
  id: string;
  note: string;
}

type Tables = TargetDatabase & { event: Event };

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('target');
  pool = new pg.Pool({ connectionString: database.url, max: 2 });
  await pool.query(`CREATE TABLE event (at timestamptz NOT NULL, name text NOT NULL, id bigint NOT NULL, note text,
                                        PRIMARY KEY (at, name, id))`);
  await pool.query(
    `INSERT INTO event SELECT timestamptz '2025-10-26 00:30:00.123456+00' + n * interval '1 microsecond',
                              CASE WHEN n % 2 = 0 THEN 'a,b' ELSE 'a' END, 9007199254740993 + n, 'note ' || n
       FROM generate_series(1, 20) AS n`,
  );
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

const signal = new AbortController().signal;

function eventReader(of: pg.Pool) {
  return keysetReader<Tables, 'event', { note: string }>({
    pool: of,
    query: target.withTables<{ event: Event }>().selectFrom('event').select('note'),
    table: 'event',
    key: ['at', 'name', 'id'],
  });
}

test('rows of a composite key are read again by what the reader wrote down, in the order asked for', async () => {
  const reader = eventReader(pool);
  const page = await reader.read({ range: { lower: null, upper: null }, after: null, limit: 20, signal });
  const places = [7, 0, 19, 12];
  const found = await reader.readKeys?.({ keys: places.map((place) => page.cursorAt(place)), signal });
  expect(found).toEqual(places.map((place) => ({ item: page.items[place] })));
});

test('a key that was written under another time zone is the same key', async () => {
  const page = await eventReader(pool).read({
    range: { lower: null, upper: null },
    after: null,
    limit: 5,
    signal,
  });
  const elsewhere = new pg.Pool({
    connectionString: database.url,
    max: 2,
    options: '-c TimeZone=America/New_York -c DateStyle=German',
  });
  try {
    const keys = page.items.map((_, index) => page.cursorAt(index));
    const found = (await eventReader(elsewhere).readKeys?.({ keys, signal })) ?? [];
    expect(found.map((read) => read && 'item' in read && read.item.note)).toEqual(
      page.items.map(({ note }) => note),
    );
  } finally {
    await elsewhere.end();
  }
});

test('a key that is written otherwise by now is the same key, however often it was written down', async () => {
  await pool.query(
    `CREATE TABLE price (amount numeric PRIMARY KEY, note text); INSERT INTO price VALUES (1.00, 'one'), (2, 'two')`,
  );
  const reader = keysetReader({
    pool,
    query: target.withTables<{ price: { amount: string; note: string } }>().selectFrom('price').selectAll(),
    table: 'price',
    key: ['amount'],
  });
  const keys = ['1.0', '3', '1.00', '2.0', '1'].map((text) => cursorOf([text]));
  const found = (await reader.readKeys?.({ keys, signal })) ?? [];
  expect(found.map((read) => read && 'item' in read && { ...read.item })).toMatchObject([
    { note: 'one' },
    undefined as never,
    { note: 'one' },
    { note: 'two' },
    { note: 'one' },
  ]);
});

test('a row that is gone is undefined, and a key of another shape is refused', async () => {
  const reader = eventReader(pool);
  const missing = cursorOf(['2025-01-01 00:00:00+00', 'a', '1']);
  expect(await reader.readKeys?.({ keys: [missing], signal })).toEqual([undefined]);
  await expect(reader.readKeys?.({ keys: [cursorOf(['1'])], signal })).rejects.toThrow(/at, name, id/);
});
