import pg from 'pg';
import { bulkUpsert, inTransaction, tableWriter } from 'keystride/postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('target');
  pool = new pg.Pool({ connectionString: database.url, max: 1 });
  await pool.query(`
    CREATE SCHEMA "odd.schema";
    CREATE TABLE "odd.schema".line (
      shop int, "odd ""name" text, note jsonb, at timestamptz DEFAULT now(), PRIMARY KEY (shop, "odd ""name"))`);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

const { write } = tableWriter({
  table: '"odd.schema".line',
  columns: { shop: 'integer', 'odd "name': 'text', note: 'jsonb' },
});

test('rows are inserted in one statement, and those that are there stay as they are', async () => {
  const row = (shop: number, note: string) => ({ shop, 'odd "name': 'a', note: JSON.stringify(note) });
  const writing = (...rows: ReturnType<typeof row>[]) =>
    inTransaction(pool, (transaction) => write(rows, transaction));
  expect(await writing(row(1, 'first'), row(2, 'first'))).toBe(2);
  expect(await writing(row(2, 'second'), row(3, 'second'))).toBe(1);
  expect(await writing()).toBe(0);
  const { rows } = await pool.query('SELECT shop, note FROM "odd.schema".line ORDER BY shop');
  expect(rows).toEqual([
    { shop: 1, note: 'first' },
    { shop: 2, note: 'first' },
    { shop: 3, note: 'second' },
  ]);
});

const numbered = 'id bigserial PRIMARY KEY, code text, note text';

test.for([
  ['a number that the database gives', numbered, [{ code: 'new' }]],
  ['such a number, beside a key that is given', `${numbered}, UNIQUE (code)`, [{ code: 'new' }]],
  [
    'such a number, of one row among others',
    `${numbered}, UNIQUE (code)`,
    [{ code: 'new' }, { code: 'old' }],
  ],
  ['a default', `code text, note text DEFAULT 'only' UNIQUE`, [{ code: 'new' }]],
] as const)('a row that conflicts by %s is not taken for one that is there', async ([, columns, rows]) => {
  await pool.query(`DROP TABLE IF EXISTS behind; CREATE TABLE behind (${columns})`);
  await pool.query(`INSERT INTO behind (code) VALUES ('old')`);
  // As after a restore of the table alone.
  if (columns.includes('serial')) await pool.query(`SELECT setval('behind_id_seq', 1, false)`);
  const writer = tableWriter({ table: 'behind', columns: { code: 'text' } });
  await expect(inTransaction(pool, (transaction) => writer.write(rows, transaction))).rejects.toMatchObject({
    name: 'RowNotKept',
    message: expect.stringMatching(
      /^behind took a row that it does not have: what the database gives for (id|note) /u,
    ) as string,
  });
});

test.for([
  ['by the key that is given', `${numbered}, UNIQUE (code)`, 2],
  ['by a key that is given in part', `${numbered}, kind text DEFAULT 'k', UNIQUE (code, kind)`, 2],
  ['by a key that is an expression', `${numbered}, EXCLUDE USING btree (lower(code) WITH =)`, 2],
  ['by a key that is null', `${numbered}, other int, UNIQUE (code), UNIQUE (other)`, 2],
] as const)('a row that is there %s is filtered', async ([, columns, next]) => {
  await pool.query(`DROP TABLE IF EXISTS behind; CREATE TABLE behind (${columns})`);
  await pool.query(
    `INSERT INTO behind (code) VALUES ('old'); SELECT setval('behind_id_seq', ${next}, false)`,
  );
  const writer = tableWriter({ table: 'behind', columns: { code: 'text', note: 'text' } });
  const rows = [{ code: 'old' }, { code: 'new' }].map((row) => ({ ...row, note: 'n' }));
  expect(await inTransaction(pool, (transaction) => writer.write(rows, transaction))).toBe(1);
});

test.for(['INSERT', 'UPDATE'] as const)(
  'an upsert hears of a trigger that leaves rows out: %s',
  async (when) => {
    await pool.query(`DROP TABLE IF EXISTS behind; CREATE TABLE behind (code text PRIMARY KEY, note text);
    INSERT INTO behind VALUES ('old', 'n');
    CREATE OR REPLACE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER leave_out BEFORE ${when} ON behind FOR EACH ROW EXECUTE FUNCTION leave_out()`);
    const upserted = (update: readonly 'note'[]) =>
      inTransaction(pool, (transaction) =>
        bulkUpsert<{ behind: { code: string; note: string } }>()(transaction, {
          ...{ table: 'behind', columns: { code: 'text', note: 'text' }, conflict: ['code'], update },
          rows: [{ code: 'old', note: 'm' }],
        }),
      );
    await expect(upserted(['note'])).rejects.toMatchObject({ name: 'RowNotKept' });
    expect(await upserted([])).toBe(0);
  },
);

/** What is declared for a column as its catalogue writes it, a value, and what stands there; null where it is refused. */
const columns: readonly (readonly [
  column: string,
  declared: string,
  value: unknown,
  stored: string | null,
])[] = [
  ['varchar(3)', 'character varying(3)', 'ABCD', null],
  ['varchar(3)', 'varchar(3)', 'ABC', 'ABC'],
  ['char(5)', 'character(5)', 'ABCDEF', null],
  ['char(5)', 'char(5)', 'AB', 'AB   '],
  ['"char"', '"char"', 'A', 'A'],
  ['bit(3)', 'bit(3)', '1010', null],
  ['bit(3)', 'bit(3)', '101', '101'],
  ['varbit(3)', 'bit varying(3)', '1010', null],
  ['timestamptz', 'timestamp(0) with time zone', '2025-01-01 00:00:00.7Z', '2025-01-01 00:00:00.7+00'],
  ['interval', 'interval day to minute', '1 day 00:00:30', '1 day 00:00:30'],
  ['varchar(3)[]', 'character varying(3)[]', ['ABC', 'ABCD'], null],
  ['text[]', 'text[]', ['a,"b', null, 'NULL'], '{"a,\\"b",NULL,"NULL"}'],
  ['text[]', 'text[]', '{x,y}', '{x,y}'],
  [
    'integer[]',
    'integer[][]',
    [
      [1, 2],
      [3, 4],
    ],
    '{{1,2},{3,4}}',
  ],
  ['bytea[]', 'bytea[]', [Buffer.from('00ff', 'hex')], String.raw`{"\\x00ff"}`],
  ['jsonb', 'jsonb', [], '[]'],
  ['jsonb', 'jsonb', [1], '[1]'],
  ['jsonb', 'jsonb', [[1, 2], { a: [] }], '[[1, 2], {"a": []}]'],
  ['json', 'json', ['a'], '["a"]'],
  ['text', 'text', ['a'], null],
];

test('a value stands there whole, or is refused; an array is one value', async () => {
  const session = createPool(database.url, 'keystride test', 1);
  try {
    for (const [type, declared, value, stored] of columns) {
      await session.query(`DROP TABLE IF EXISTS one; CREATE TABLE one (id int, v ${type})`);
      const one = tableWriter({ table: 'one', columns: { id: 'integer', v: declared } });
      const writing = inTransaction(session, (transaction) =>
        one.write(
          [1, 2].map((id) => ({ id, v: value })),
          transaction,
        ),
      ).catch(() => null);
      expect(await writing, `${declared} in ${type}`).toBe(stored === null ? null : 2);
      const { rows } = await session.query("SELECT format('%s', v) AS v FROM one");
      expect(rows, `${declared} in ${type}`).toEqual(stored === null ? [] : [{ v: stored }, { v: stored }]);
    }
  } finally {
    await session.end();
  }
});
