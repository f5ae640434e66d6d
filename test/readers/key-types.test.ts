import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keysetReader } from '../../packages/keystride/src/stores/postgres/keyset-reader.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { typedSql } from '../../packages/keystride/src/stores/postgres/sql.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { readRange } from './reading.ts';

const tables = typedSql<Record<string, { id: string }>>();
const signal = new AbortController().signal;
let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('source');
  pool = createPool(database.url, 'keystride test', 4);
  await pool.query(`CREATE TYPE mood AS ENUM ('a', 'B', 'c'); CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN word AS text COLLATE "en-x-icu"; CREATE DOMAIN letter AS "char"; CREATE DOMAIN vowel AS letter`);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

/** Types that order a table, besides those that are cut in `key-ranges.test.ts`, and what makes their value n. */
const types: Readonly<Record<string, string>> = {
  '"char"': `(n - 60)::int::"char"`,
  letter: `(n + 32)::int::"char"`,
  vowel: `(n + 32)::int::"char"`,
  name: `'n' || n`,
  bool: `n % 2 = 0`,
  bytea: `decode(lpad(to_hex(n), 8, '0'), 'hex')`,
  inet: `'10.0.0.0'::inet + n`,
  cidr: `('10.0.' || n || '.0/24')::cidr`,
  macaddr8: `('08:00:2b:01:02:03:04:' || lpad(to_hex(n), 2, '0'))::macaddr8`,
  money: `n::int::money`,
  interval: `n * interval '1 day 3 hours'`,
  timetz: `timetz '00:00+02' + n * interval '1 minute'`,
  timestamptz: `CASE n WHEN 1 THEN 'infinity' WHEN 2 THEN '-infinity' ELSE timestamptz '0044-03-15 BC' + n * interval '1 h' END`,
  'bit(8)': `n::int::bit(8)`,
  varbit: `n::int::bit(8)`,
  oid: `n::int::oid`,
  mood: `(ARRAY['a', 'B', 'c']::mood[])[n]`,
  int4range: `int4range(n::int, n::int + 3)`,
  int4multirange: `int4multirange(int4range(n::int, n::int + 3))`,
  'text[]': `ARRAY['a,b', n::text]`,
  '"char"[]': `ARRAY[n::int::"char"]`,
  pair: `ROW(n::int, 'x,' || n)::pair`,
  word: `'W' || n`,
  jsonb: `jsonb_build_object('n', n)`,
  float8: `CASE n WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' ELSE n / 3.0 END::float8`,
  'numeric(10,2)': 'n / 3.0',
  pg_lsn: `('0/' || to_hex(n))::pg_lsn`,
  xid8: 'n::text::xid8',
  tsvector: `to_tsvector('simple', 'w' || n)`,
  'char(5)': 'n::text',
};

test.each(Object.entries(types))('a key of %s is cut, read and read again', async (type, value) => {
  await pool.query(`DROP TABLE IF EXISTS keyed; CREATE TABLE keyed (id ${type} PRIMARY KEY);
    INSERT INTO keyed SELECT ${value} FROM generate_series(1, 90::bigint) AS n WHERE (${value}) IS NOT NULL ON CONFLICT DO NOTHING;
    ANALYZE keyed`);
  const { rows } = await pool.query<{ id: string }>('SELECT id::text FROM keyed ORDER BY keyed.id');
  const reader = keysetReader({
    pool,
    query: tables.selectFrom('keyed').select('keyed.id'),
    table: 'keyed',
    key: ['id'],
  });
  const { ranges, expected } = await reader.plan({ partitions: 3, signal });
  const read = [];
  for (const range of ranges) read.push(...(await readRange(reader, range, 7)));
  expect(read.map(({ cursor }) => cursor)).toEqual(rows.map(({ id }) => [id]));
  expect(expected).toBe(rows.length);
  const keys = read.map(({ cursor }) => cursor);
  expect(await reader.readKeys?.({ keys, signal })).not.toContain(undefined);
  const whole = { lower: null, upper: ranges.at(-1)?.upper ?? null };
  const split = await reader.split?.({ range: whole, after: null, fewest: 2, signal });
  expect(split?.items).toBe(rows.length);
});

/** Values of JSON that are read as they are, and those that JavaScript cannot hold. */
const read = ['{"a": [1.10, "9007199254740993"]}', '-0.30000000000000004', '1e21', '"x"', '{}', 'true'];

const lossy = ['{"a": [9007199254740993]}', '0.1234567890123456789', '12345678901234567890123', '[1e400]'];

test.each(['jsonb', 'json'])(
  'a number of %s is read to its last digit, or is the error of its row',
  async (type) => {
    // Each that cannot be read has others before and behind it, and is the first of its page in its turn.
    const values = [read[0], ...lossy.flatMap((value, index) => [value, read[index + 1]]), read[5]];
    await pool.query(
      `DROP TABLE IF EXISTS document; CREATE TABLE document (id bigint PRIMARY KEY, doc ${type})`,
    );
    await pool.query(
      `INSERT INTO document SELECT place, doc::${type} FROM unnest($1::text[]) WITH ORDINALITY AS part (doc, place)`,
      [values],
    );
    const documents = typedSql<{ document: { id: string; doc: unknown } }>();
    const query = documents.selectFrom('document').select(['id', 'doc']);
    const reader = keysetReader({ pool, query, table: 'document', key: ['id'] });
    const found = await readRange(reader, { lower: null, upper: null }, 1);
    const shown = found.map(({ item, error, key }) => [key, error ? (error as Error).name : item.doc]);
    expect(shown).toEqual(
      values.map((value = '', index) => [
        String(index + 1),
        lossy.includes(value) ? 'InexactJson' : (JSON.parse(value) as unknown),
      ]),
    );
    const page = await reader.read({
      ...{
        range: { lower: null, upper: null },
        after: null,
        limit: 100,
        signal: new AbortController().signal,
      },
    });
    // The rows before it are a page, and nobody takes its end for the end of the range.
    expect([page.items.length, page.passed]).toEqual([1, ['1']]);
    await expect(pool.query(`SELECT ARRAY[doc] AS docs FROM document WHERE id = 2`)).rejects.toThrow(
      /read the column as text/iu,
    );
    const { rows } = await pool.query('SELECT ARRAY[doc, NULL] AS docs FROM document WHERE id = 1');
    expect(rows).toEqual([{ docs: [{ a: [1.1, '9007199254740993'] }, null] }]);
  },
);

test('an object of json that has a key twice is the error of its row; jsonb has the last one alone', async () => {
  const twice = ['{"a":1,"a":2}', '[{"b": {"c": 1, "\\u0063" : 2}}]', '{"__proto__":1,"__proto__":1}'];
  const once = ['{"a":1,"b":{"a":1},"c":[{"a":1}]}', '"{\\"a\\":1,\\"a\\":2}"', '[]', 'null'];
  const values = [once[0], ...twice.flatMap((value, index) => [value, once[index + 1]])];
  for (const type of ['json', 'jsonb']) {
    await pool.query(
      `DROP TABLE IF EXISTS document; CREATE TABLE document (id bigint PRIMARY KEY, doc ${type})`,
    );
    await pool.query(
      `INSERT INTO document SELECT place, doc::${type} FROM unnest($1::text[]) WITH ORDINALITY AS part (doc, place)`,
      [values],
    );
    const documents = typedSql<{ document: { id: string; doc: unknown } }>();
    const query = documents.selectFrom('document').select(['id', 'doc']);
    const reader = keysetReader({ pool, query, table: 'document', key: ['id'] });
    const found = await readRange(reader, { lower: null, upper: null }, 1);
    expect(found.map(({ item, error }) => (error ? (error as Error).name : item.doc))).toEqual(
      values.map((value = '') =>
        type === 'json' && twice.includes(value) ? 'InexactJson' : (JSON.parse(value) as unknown),
      ),
    );
    const asked = pool.query('SELECT ARRAY[doc] AS docs FROM document WHERE id = 2');
    const refused = await asked.then(() => false, String);
    expect(refused).toEqual(
      type === 'json' ? (expect.stringMatching(/key twice.*column as text/u) as string) : false,
    );
  }
});
