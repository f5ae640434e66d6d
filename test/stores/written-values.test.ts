import fc from 'fast-check';
import type pg from 'pg';
import { inTransaction, tableWriter } from 'keystride/postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { boundedQuery } from '../../packages/keystride/src/stores/postgres/bounded-query.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('target');
  pool = createPool(database.url, 'keystride test', 2);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

const refusalOf = (work: Promise<unknown>) => work.then(() => 'written', String);

let lastId = 0;

/** Writes a value to a column of a type. @returns what stands there as text, or the refusal */
async function written(type: string, value: unknown): Promise<unknown> {
  const [base = ''] = type.split('(');
  const table = `"of ${base}"`;
  await pool.query(`CREATE TABLE IF NOT EXISTS ${table} (id int PRIMARY KEY, v ${base})`);
  const { write } = tableWriter({ table, columns: { id: 'integer', v: type } });
  const id = ++lastId;
  const outcome = await refusalOf(
    inTransaction(pool, (transaction) => write([{ id, v: value }], transaction)),
  );
  const stored = await pool.query<{ v: unknown }>(`SELECT v::text AS v FROM ${table} WHERE id = $1`, [id]);
  expect(stored.rows, `${type} ${outcome}`).toHaveLength(outcome === 'written' ? 1 : 0);
  return outcome === 'written' ? stored.rows[0]?.v : outcome;
}

class Own {
  readonly #kept = 1;
  tells() {
    return this.#kept;
  }
}

const half = 'a\uD800b';
const noDate = new Date(Number.NaN);
const asText = { toPostgres: () => 'a' };

/** What the driver would write as something else, whatever the type of its parameter. */
const changed: readonly (readonly [what: string, value: unknown])[] = [
  ['half of a surrogate pair', half],
  ['undefined', undefined],
  ['a promise', Promise.resolve(1)],
  ['a map', new Map([['a', 1]])],
  ['a set', new Set([1])],
  ['an error', new Error('a')],
  ['a pattern', /a/u],
  ['a function', () => 1],
  ['a symbol', Symbol('a')],
  ['a date that is none', noDate],
  ['a boxed text', Object('a')],
  ['an object that shows nothing of itself', new Own()],
  ['NaN within JSON', { a: [{ b: Number.NaN }] }],
  ['Infinity within JSON', { a: Infinity }],
  ['undefined in a list of JSON', { a: [undefined] }],
  ['a map within JSON', { a: new Map() }],
  ['a promise within JSON', { a: Promise.resolve(1) }],
  ['a function within JSON', { a: () => 1 }],
  ['a date that is none within JSON', { a: noDate }],
  ['bytes within JSON', { a: Buffer.from('a') }],
  ['a bigint within JSON', { a: 1n }],
  ['an object that is what PostgreSQL would have none of', { toPostgres: () => Promise.resolve('a') }],
  ['an object that is nothing to PostgreSQL', { toPostgres: () => undefined }],
];

test.each(changed)('%s is refused as a parameter, as part of one, and of a read', async (_, value) => {
  const names = expect.stringMatching(/^UnwritableValue: parameter \$2 of a statement is /u) as string;
  const asked = (values: unknown[]) =>
    refusalOf(inTransaction(pool, ({ query }) => query('SELECT $1::text, $2::text', values)));
  expect(await asked(['a', value])).toEqual(names);
  const inArray = refusalOf(
    inTransaction(pool, ({ query }) => query('SELECT $1::text, $2::text[]', ['a', [1, value]])),
  );
  expect(await inArray).toEqual(names);
  expect(await refusalOf(boundedQuery(pool, 'SELECT $1::text, $2::text', ['a', value]))).toEqual(names);
});

test.each(changed)('%s is refused by the column it was to be written to', async (_, value) => {
  for (const type of ['text', 'jsonb', 'text[]'])
    if (!(type === 'jsonb' && value === half))
      expect(await written(type, type.endsWith('[]') ? ['a', value] : value), type).toMatch(
        /^UnwritableValue: column v is written as .*, and a row has /u,
      );
});

test('a text that is the object of JSON is refused where it would stand in quotes', async () => {
  const told = refusalOf(
    inTransaction(pool, ({ query }) => query('SELECT $1::text', [new URL('http://a.example/')])),
  );
  expect(await told).toMatch(/would stand there in quotes/u);
  expect(await written('jsonb', { at: new URL('http://a.example/') })).toBe('{"at": "http://a.example/"}');
});

test.each(['SELECT 1 \0 WHERE false', `SELECT '${half}'`])(
  'a statement of which another one would be read is refused',
  async (text) => {
    expect(await refusalOf(inTransaction(pool, ({ query }) => query(text)))).toMatch(
      /UnwritableValue: a statement/u,
    );
  },
);

const refused = (told: RegExp) => expect.stringMatching(told) as string;

/** A declared type, a value, and what stands there. */
const columns: readonly (readonly [type: string, value: unknown, stored: unknown])[] = [
  ['text', '🙂\u2028', '🙂\u2028'],
  ['text', 'a\0b', refused(/0x00|22021/u)],
  ['text', { a: 1 }, refused(/an object for it/u)],
  ['text', Buffer.from('a'), refused(/bytes for it/u)],
  ['text[]', [Buffer.from('a')], refused(/bytes for it/u)],
  ['text', asText, 'a'],
  ['text', true, 'true'],
  ['bytea', Buffer.from('00ff', 'hex'), String.raw`\x00ff`],
  ['bytea', new Uint8Array([0, 255]), String.raw`\x00ff`],
  ['bytea', new Float64Array([1]), refused(/UnwritableValue/u)],
  ['bigint', 2 ** 53, refused(/beyond 2\^53/u)],
  ['bigint', 2 ** 53 - 1, '9007199254740991'],
  ['bigint', 2n ** 63n - 1n, '9223372036854775807'],
  ['bigint[]', [1, 2 ** 60], refused(/beyond 2\^53/u)],
  ['numeric(30,2)', 1e20, refused(/beyond 2\^53/u)],
  ['numeric', '100000000000000000000.123', '100000000000000000000.123'],
  ['double precision', 1e300, '1e+300'],
  ['double precision', Number.NaN, 'NaN'],
  ['date', new Date('2025-03-04T00:00:00Z'), '2025-03-04'],
  ['date', new Date('2025-03-04T23:00:00Z'), refused(/would be cut/u)],
  ['date[]', [new Date('2025-03-04T23:00:00Z')], refused(/would be cut/u)],
  ['time', new Date('2025-03-04T23:00:00Z'), refused(/the time as text/u)],
  ['timestamptz', new Date('-000044-03-15T01:02:03.004Z'), '0045-03-15 01:02:03.004+00 BC'],
  ['timestamptz', new Date(-8.64e15), refused(/./u)],
  ['integer[]', [[1, 2], [3]], refused(/./u)],
  ['integer[]', [[], []], refused(/an empty array within another/u)],
  ['integer[]', [], '{}'],
  ['jsonb', { a: { b: undefined, c: [1.5, null, 'ü'] } }, '{"a": {"c": [1.5, null, "ü"]}}'],
  ['jsonb', Object.create(null), '{}'],
  ['jsonb', new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ['jsonb', '{"a":1}', '{"a": 1}'],
  ['jsonb', null, null],
  ['jsonb', 5, '5'],
  ['jsonb', half, refused(/UnwritableValue/u)],
  ['jsonb[]', [{ a: 1 }, null], String.raw`{"{\"a\": 1}",NULL}`],
];

test('a value stands in its column as it is, or is refused', async () => {
  for (const [type, value, stored] of columns)
    expect(await written(type, value), `${type} ${JSON.stringify(value, bigintAsText)}`).toEqual(stored);
});

const bigintAsText = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);

test('an object that holds itself is refused', async () => {
  const itself: Record<string, unknown> = {};
  Object.assign(itself, { one: itself, other: itself });
  expect(await written('jsonb', itself)).toMatch(/more than 500 levels/u);
});

test('whatever a value is, it is refused or reads as it was', async () => {
  const anything = fc
    .anything({
      withBigInt: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withNullPrototype: true,
    })
    .filter((value) => typeof value !== 'string' && value !== null);
  await fc.assert(
    fc.asyncProperty(anything, async (value) => {
      const stored = await written('jsonb', value);
      if (String(stored).includes('rror: ') || String(stored).startsWith('UnwritableValue: ')) return;
      expect(withoutZeroSigns(JSON.parse(String(stored)))).toEqual(withoutZeroSigns(value));
    }),
    { numRuns: 100 },
  );
});

/** JSON in PostgreSQL has one zero, and objects are plain. */
function withoutZeroSigns(value: unknown): unknown {
  if (value === 0) return 0;
  if (Array.isArray(value)) return value.map(withoutZeroSigns);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, withoutZeroSigns(part)]));
}

test.each([
  [
    'a name that is misspelt',
    { id: 1, vaule: 'a' },
    /column v .* nothing for it, but has vaule, which no column takes: NULL is null/u,
  ],
  [
    'nothing for a column',
    { id: 1 },
    /column v is written as text, and a row has nothing for it: NULL is null/u,
  ],
])('a row with %s is refused by name', async (_, row, told) => {
  await pool.query("DROP TABLE IF EXISTS one; CREATE TABLE one (id int, v text DEFAULT 'd', at text)");
  const { write } = tableWriter({ table: 'one', columns: { id: 'integer', v: 'text' } });
  const rows = [{ id: 0, v: 'a' }, row as { id: number; v: string }];
  expect(await refusalOf(inTransaction(pool, (transaction) => write(rows, transaction)))).toMatch(told);
  expect((await pool.query('SELECT FROM one')).rowCount).toBe(0);
});

test('what a row has beside its columns is not written', async () => {
  await pool.query('DROP TABLE IF EXISTS one; CREATE TABLE one (id int, v text)');
  const { write } = tableWriter({ table: 'one', columns: { id: 'integer' } });
  await inTransaction(pool, (transaction) => write([{ id: 1, v: 'a' } as { id: number }], transaction));
  expect((await pool.query('SELECT * FROM one')).rows).toEqual([{ id: 1, v: null }]);
});
