import { beforeEach, expect, test } from 'vitest';
import { failureOf, run, stepOf } from '../support/runs.ts';
import { emptyShop, onBothSides, useShop } from '../support/shop.ts';

const shop = useShop();

beforeEach(() => emptyShop(shop.stores));

let runs = 0;
const sync = (parameters: object) => run(shop.world, 'tableSync', { run: (runs += 1), ...parameters });

const refusal = async (parameters: object) =>
  failureOf(await shop.world.start('tableSync', { run: (runs += 1), ...parameters }));

const onBoth = (statement: string) => onBothSides(shop.stores, statement);

/** Copies one value from a column to another; returns what arrived, or the code of the skip. */
async function copied(number: number, [from, to, value]: readonly [string, string, string], more: object) {
  const table = `shop.value_${number}`;
  await shop.stores.service.query(`CREATE TABLE ${table} (id int PRIMARY KEY, value ${from})`);
  await shop.stores.service.query(`INSERT INTO ${table} VALUES (1, ${value}), (2, NULL)`);
  await shop.stores.migration.query(`CREATE TABLE ${table} (id int PRIMARY KEY, value ${to})`);
  const report = await sync({ source: table, partitions: 1, ...more });
  const { read, written, skipped } = stepOf(report, 'copy');
  const there = await shop.stores.migration.query<{ value: string }>(
    `SELECT value::text FROM ${table} WHERE id = 1`,
  );
  const skips = await shop.stores.migration.query<{ code: string }>(
    'SELECT code FROM keystride.skip WHERE instance_key = $1',
    [report.instance],
  );
  expect([read, written + skipped, skipped]).toEqual([2, 2, skips.rows.length]);
  return there.rows[0]?.value ?? skips.rows[0]?.code ?? 'nothing';
}

const domains = `
  CREATE DOMAIN shop.short_code AS varchar(3);
  CREATE DOMAIN shop.shorter_code AS shop.short_code CHECK (value <> '-');
  CREATE DOMAIN shop.fixed_code AS char(3);
  CREATE DOMAIN shop.few_bits AS bit varying(4);
  CREATE DOMAIN shop.codes AS varchar(3)[];
  CREATE DOMAIN shop.cents AS numeric(10,2);
  CREATE DOMAIN shop.moment AS timestamptz(0);
  CREATE TYPE shop.coded AS (code varchar(3), other shop.short_code);
  CREATE DOMAIN shop.coded_domain AS shop.coded;
  CREATE TYPE shop.mood AS ENUM ('happy', 'sad')`;

const tooLong = 'SQLSTATE_22001';

const values: readonly (readonly [from: string, to: string, value: string, arrives: string])[] = [
  ['text', 'shop.short_code', `'ABCDEFGH'`, tooLong],
  ['text', 'shop.short_code', `'ABC'`, 'ABC'],
  ['text', 'shop.shorter_code', `'ABCDEFGH'`, tooLong],
  ['text', 'shop.shorter_code', `'-'`, 'SQLSTATE_23514'],
  ['text', 'shop.fixed_code', `'ABCDEFGH'`, tooLong],
  ['text', 'shop.few_bits', `'10101'`, tooLong],
  ['varbit', 'shop.few_bits', `'10101'`, tooLong],
  ['text', 'bit(3)', `'1010'`, tooLong],
  ['text[]', 'shop.short_code[]', `'{ok,ABCDEFGH}'`, tooLong],
  ['text[]', 'shop.codes', `'{ok,ABCDEFGH}'`, tooLong],
  ['text[]', 'varchar(3)[]', `'{ok,ABCDEFGH}'`, tooLong],
  ['text', 'shop.coded', `'(ABCDEFGH,)'`, tooLong],
  ['text', 'shop.coded', `'(,ABCDEFGH)'`, tooLong],
  ['text', 'shop.coded_domain', `'(ABCDEFGH,)'`, tooLong],
  ['text', 'varchar(2)', `'ab  '`, tooLong],
  ['text', 'char(5)', `'ab '`, tooLong],
  ['text', 'char(5)', `'ab'`, 'ab'],
  ['char(5)', 'char(3)', `'ab'`, 'ab'],
  ['char(5)', 'text', `'ab'`, 'ab'],
  ['text', 'name', `repeat('x', 70)`, tooLong],
  ['text', '"char"', `'xy'`, tooLong],
  ['numeric', 'numeric(10,2)', `0.005`, tooLong],
  ['numeric', 'numeric(10,2)', `1.5`, '1.50'],
  ['numeric', 'numeric(10,2)', `1e9`, 'SQLSTATE_22003'],
  ['numeric(10,4)', 'shop.cents', `1.2345`, tooLong],
  ['text', 'shop.cents', `'1.2345'`, tooLong],
  ['numeric[]', 'numeric(10,2)[]', `'{1.50,1.005}'`, tooLong],
  ['numeric', 'double precision', `12345678901234567890.5`, tooLong],
  ['numeric', 'double precision', `0.1`, '0.1'],
  ['bigint', 'double precision', `9007199254740993`, tooLong],
  ['bigint', 'double precision', `9007199254740992`, '9.007199254740992e+15'],
  ['bigint', 'int', `9007199254740993`, 'SQLSTATE_22003'],
  ['double precision', 'real', `0.30000000000000004`, tooLong],
  ['double precision', 'real', `'NaN'`, 'NaN'],
  ['double precision', 'numeric(10,2)', `0.1`, '0.10'],
  ['numeric', 'int', `12.7`, 'SQLSTATE_22P02'],
  ['timestamptz', 'timestamptz(0)', `'2025-01-01 00:00:00.5Z'`, tooLong],
  ['timestamptz', 'shop.moment', `'2025-01-01 00:00:00.5Z'`, tooLong],
  ['timestamptz', 'date', `'2025-01-01 12:00:00Z'`, tooLong],
  ['timestamptz', 'date', `'2025-01-01 00:00:00Z'`, '2025-01-01'],
  ['timestamp', 'time', `'2025-01-01 12:00:00'`, 'SQLSTATE_22007'],
  ['timestamp', 'timestamp', `'infinity'`, 'infinity'],
  ['interval', 'interval(0)', `'1 day 00:00:00.5'`, tooLong],
  ['interval', 'interval hour', `'1 day 00:30:00'`, tooLong],
  ['tstzrange', 'daterange', `'[2025-01-01 12:00Z,2025-01-02 12:00Z)'`, tooLong],
  ['text', 'date', `'2025-03-04 17:30:00'`, tooLong],
  ['text', 'date', `'2025-03-04T00:00:00Z'`, '2025-03-04'],
  ['text', 'date', `'now'`, tooLong],
  ['text', 'date', `'infinity'`, 'infinity'],
  ['text[]', 'date[]', `'{2025-03-04 17:30:00}'`, tooLong],
  ['text', 'timestamp', `'2025-03-04 17:30:00+09'`, tooLong],
  ['text', 'timestamp', `'2025-03-04T17:30:00.500Z'`, '2025-03-04 17:30:00.5'],
  ['text', 'timestamptz', `'2025-03-04T17:30:00.123456789Z'`, tooLong],
  ['text', 'timestamptz', `'2025-03-04T17:30:00.123456000+09:00'`, '2025-03-04 08:30:00.123456+00'],
  ['text', 'time', `'17:30:00+09'`, 'SQLSTATE_22007'],
  ['text', 'time', `'2025-03-04 17:30:00'`, 'SQLSTATE_22007'],
  ['text', 'time', `'17:30:00.5'`, '17:30:00.5'],
  ['text', 'double precision', `'0.1234567890123456789'`, tooLong],
  ['text', 'double precision', `'0.10'`, '0.1'],
  ['text', 'real', `'16777217'`, tooLong],
  ['text', 'money', `'1.239'`, tooLong],
  ['text', 'jsonb', `'{"a":1,"a":2}'`, tooLong],
  ['json', 'jsonb', `'{"a":1,"a":2}'`, tooLong],
  ['json', 'jsonb', `'{"a":1, "b":{"a":2}}'`, '{"a": 1, "b": {"a": 2}}'],
  ['text', 'shop.mood', `'happy'`, 'happy'],
  ['text', 'shop.mood', `'angry'`, 'SQLSTATE_22P02'],
];

test('a value that the sink would change is refused, and every other one arrives', async () => {
  await onBoth(domains);
  const found: unknown[] = [];
  for (let from = 0; from < values.length; from += 8)
    found.push(
      ...(await Promise.all(
        values
          .slice(from, from + 8)
          .map(([source, sink, value], index) => copied(from + index, [source, sink, value], {})),
      )),
    );
  const told = (results: readonly unknown[]) =>
    values.map(([from, to, value], index) => `${value} of ${from} in ${to}: ${String(results[index])}`);
  expect(told(found)).toEqual(told(values.map(([, , , arrives]) => arrives)));
});

test('what is declared as a cast is converted by it, and rounded as it says', async () => {
  const casts: readonly (readonly [string, string, string, string, string])[] = [
    ['timestamptz', 'date', `'2025-01-01 12:00:00Z'`, 'date', '2025-01-01'],
    ['text', 'int', `' 12.7 '`, 'numeric', '13'],
    ['text', 'date', `'2025-01-01 12:00:00'`, 'date', '2025-01-01'],
    ['numeric', 'numeric(10,2)', '0.005', 'numeric(10,2)', '0.01'],
    ['numeric', 'numeric(10,2)', '0.00005', 'numeric(10,4)', tooLong],
    ['text', 'varchar(3)', `'ABCDEFGH'`, 'varchar(3)', tooLong],
  ];
  const found = await Promise.all(
    casts.map(([from, to, value, cast], index) =>
      copied(index, [from, to, value], { cast: [`value:${cast}`] }),
    ),
  );
  expect(found).toEqual(casts.map(([, , , , arrives]) => arrives));
});

const collation = `CREATE COLLATION shop.any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`;

test.for([
  ['text', 'char(5)'],
  ['text', 'text COLLATE shop.any_case'],
  ['varchar(9)', 'shop.padded'],
  ['text', 'shop.citext_like'],
  ['text', 'numeric'],
  ['text', 'jsonb'],
  ['text', 'interval'],
  ['double precision', 'real'],
  ['numeric', 'double precision'],
])('a key of %s is refused by a sink of %s, which may take two for one', async ([from, to]) => {
  await shop.stores.service.query(`CREATE TABLE shop.keyed (code ${from} PRIMARY KEY, note text)`);
  await shop.stores.service.query(`INSERT INTO shop.keyed VALUES ('1', 'one')`);
  await shop.stores.migration.query(`${collation}; CREATE DOMAIN shop.padded AS char(9);
    CREATE DOMAIN shop.citext_like AS text COLLATE shop.any_case;
    CREATE TABLE shop.keyed (code ${to} PRIMARY KEY, note text)`);
  expect(await refusal({ source: 'shop.keyed' })).toMatchObject({
    type: 'JobParametersInvalid',
    message: expect.stringMatching(/the key column code is .* in the source and .* \(code\) in the sink/u),
  });
  expect((await shop.stores.migration.query('SELECT FROM shop.keyed')).rowCount).toBe(0);
});

test.for([
  ['numeric(10,4)', 'numeric(10,2)', ['1.0010', '1.0020'], ['2.5000']],
  ['timestamp', 'timestamp(0)', ['2025-01-01 00:00:00.1', '2025-01-01 00:00:00.2'], ['2025-01-01 00:00:00']],
  ['timestamptz', 'date', ['2025-01-01 01:00Z', '2025-01-01 02:00Z'], ['2025-01-01 00:00Z']],
  ['text', 'int', ['01', '001'], ['1']],
  ['text', 'uuid', ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'], ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']],
  ['text', 'varchar(2)', ['a   ', 'a  '], ['a', 'a ']],
] as const)('keys of %s that would be one in %s are skips, each of them', async ([from, to, twice, once]) => {
  await shop.stores.service.query(`CREATE TABLE shop.keyed (code ${from} PRIMARY KEY, note text)`);
  for (const code of [...twice, ...once])
    await shop.stores.service.query(`INSERT INTO shop.keyed VALUES ($1::text::${from}, 'n')`, [code]);
  await shop.stores.migration.query(`CREATE TABLE shop.keyed (code ${to} PRIMARY KEY, note text)`);
  for (const partitions of [1, 4]) {
    const report = await sync({ source: 'shop.keyed', partitions });
    expect(stepOf(report, 'copy')).toMatchObject({ written: once.length, skipped: twice.length });
    expect((await shop.stores.migration.query('SELECT FROM shop.keyed')).rowCount).toBe(once.length);
  }
});

const dropping = (when: string, table: string) => `
  CREATE FUNCTION shop.drop_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
  CREATE TRIGGER drop_it BEFORE ${when} ON ${table} FOR EACH ROW WHEN (new.id % 2 = 0) EXECUTE FUNCTION shop.drop_it()`;

test('rows that a trigger of the sink leaves out are skips, whether they are new or changed', async () => {
  await onBoth('CREATE TABLE shop.item (id int PRIMARY KEY, note text)');
  await shop.stores.service.query(`INSERT INTO shop.item SELECT n, 'new' FROM generate_series(1, 10) AS n`);
  await shop.stores.migration.query(dropping('INSERT', 'shop.item'));
  const first = await sync({ source: 'shop.item' });
  expect(stepOf(first, 'copy')).toMatchObject({ read: 10, written: 5, skipped: 5 });
  const { rows } = await shop.stores.migration.query(
    'SELECT item_key AS key, code FROM keystride.skip WHERE instance_key = $1 ORDER BY item_key::int',
    [first.instance],
  );
  expect(rows).toEqual([2, 4, 6, 8, 10].map((key) => ({ key: String(key), code: 'RowNotKept' })));
  await shop.stores.migration.query(`DROP TRIGGER drop_it ON shop.item; DROP FUNCTION shop.drop_it`);
  await sync({ source: 'shop.item' });
  await shop.stores.migration.query(dropping('UPDATE', 'shop.item'));
  // What is as it should be is no skip: only the rows that have changed.
  await shop.stores.service.query(`UPDATE shop.item SET note = 'changed' WHERE id < 5`);
  expect(stepOf(await sync({ source: 'shop.item' }), 'copy')).toMatchObject({ written: 8, skipped: 2 });
});

test.for([
  ['gives rows another key', 'BEFORE', 'new.id := new.id + 1000; RETURN new'],
  ['removes them when they are there', 'AFTER', 'DELETE FROM shop.item WHERE id = new.id; RETURN null'],
])('a trigger of the sink that %s keeps none of them', async ([, when, body]) => {
  await onBoth('CREATE TABLE shop.item (id int PRIMARY KEY, note text)');
  await shop.stores.service.query(`INSERT INTO shop.item SELECT n, 'a' FROM generate_series(1, 4) AS n`);
  await shop.stores.migration.query(`
    CREATE FUNCTION shop.move_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN ${body}; END';
    CREATE TRIGGER move_it ${when} INSERT ON shop.item FOR EACH ROW WHEN (new.id % 2 = 0) EXECUTE FUNCTION shop.move_it()`);
  const report = await sync({ source: 'shop.item' });
  expect(stepOf(report, 'copy')).toMatchObject({ read: 4, written: 2, skipped: 2 });
  const { rows } = await shop.stores.migration.query<{ id: number }>('SELECT id FROM shop.item ORDER BY id');
  expect(rows.map(({ id }) => id)).toEqual([1, 3]);
});

test.for([
  [
    'a value of a collation that ignores case',
    'id int PRIMARY KEY, v text COLLATE shop.any_case',
    `1, 'a'`,
    `v = 'A'`,
  ],
  ['a key of such a collation', 'id text COLLATE shop.any_case PRIMARY KEY, v text', `'a', 'v'`, `id = 'A'`],
  ['a key alone', 'id text COLLATE shop.any_case PRIMARY KEY', `'a'`, `id = 'A'`],
  ['a numeric key', 'id numeric PRIMARY KEY, v text', `1.00, 'v'`, `id = 1.0`],
  ['a key of an interval', 'id interval PRIMARY KEY, v text', `'1 mon', 'v'`, `id = '30 days'`],
  ['a key of minus zero', 'id float8 PRIMARY KEY, v text', `'-0', 'v'`, `id = 0`],
] as const)('what is written otherwise and equal arrives: %s', async ([, columns, row, change]) => {
  await onBoth(`${collation}; CREATE TABLE shop.item (${columns})`);
  await shop.stores.service.query(`INSERT INTO shop.item VALUES (${row})`);
  await sync({ source: 'shop.item' });
  await shop.stores.service.query(`UPDATE shop.item SET ${change}`);
  expect(stepOf(await sync({ source: 'shop.item' }), 'copy')).toMatchObject({ written: 1, skipped: 0 });
  const [source, sink] = await Promise.all(
    [shop.stores.service, shop.stores.migration].map((pool) =>
      pool.query('SELECT item::text FROM shop.item'),
    ),
  );
  expect(sink?.rows).toEqual(source?.rows);
});

test('a unique index that tells keys apart which their column takes for one is refused', async () => {
  await onBoth(`${collation}; CREATE TABLE shop.item (code text COLLATE shop.any_case NOT NULL, note text);
    CREATE UNIQUE INDEX by_bytes ON shop.item (code COLLATE "C")`);
  expect((await refusal({ source: 'shop.item', key: ['code'] })).message).toMatch(
    /its index shop\.by_bytes is of another collation than its column/u,
  );
});

test('what a trigger of the sink makes of a row, or writes elsewhere, is written', async () => {
  await onBoth('CREATE TABLE shop.item (id int PRIMARY KEY, note text)');
  await shop.stores.service.query(`INSERT INTO shop.item SELECT n, 'a' FROM generate_series(1, 10) AS n`);
  await shop.stores.migration.query(`
    CREATE FUNCTION shop.upper_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.note := upper(new.note); RETURN new; END';
    CREATE TRIGGER upper_it BEFORE INSERT OR UPDATE ON shop.item FOR EACH ROW WHEN (new.id > 3) EXECUTE FUNCTION shop.upper_it()`);
  for (let time = 0; time < 2; time++)
    expect(stepOf(await sync({ source: 'shop.item' }), 'copy')).toMatchObject({ written: 10, skipped: 0 });
});

test('a sink that must have a value which the source has none for is refused', async () => {
  await shop.stores.service.query('CREATE TABLE shop.item (id int PRIMARY KEY)');
  await shop.stores.migration.query(`CREATE TABLE shop.item (
    id int PRIMARY KEY, made timestamptz NOT NULL DEFAULT now(), no bigint GENERATED ALWAYS AS IDENTITY, tenant int NOT NULL)`);
  expect((await refusal({ source: 'shop.item' })).message).toMatch(
    /column tenant of the sink shop.item is NOT NULL without a default/u,
  );
});

test('a type that the sink alone has is copied to', async () => {
  await shop.stores.service.query('CREATE TABLE shop.item (id int PRIMARY KEY, mood text)');
  await shop.stores.service.query(`INSERT INTO shop.item VALUES (1, 'happy'), (2, 'angry')`);
  await shop.stores.migration.query(
    `CREATE TYPE shop.mood AS ENUM ('happy'); CREATE TABLE shop.item (id int PRIMARY KEY, mood shop.mood)`,
  );
  expect(stepOf(await sync({ source: 'shop.item' }), 'copy')).toMatchObject({ written: 1, skipped: 1 });
});

test('each row that the sink refuses is one skip, and can be run again', async () => {
  await shop.stores.service.query(`CREATE TABLE shop.word (id int PRIMARY KEY, word text, amount text)`);
  await shop.stores.service.query(
    `INSERT INTO shop.word SELECT n, CASE n % 1000 WHEN 7 THEN 'far too long' ELSE 'ok' END,
            CASE WHEN n = 4321 THEN 'secret' ELSE n::text END FROM generate_series(1, 6000) AS n`,
  );
  await shop.stores.migration.query(
    `CREATE TABLE shop.word (id int PRIMARY KEY, word varchar(5), amount int CHECK (amount <> 5555))`,
  );
  const report = await sync({ source: 'shop.word', partitions: 2 });
  expect(report.status).toBe('completedWithSkips');
  expect(stepOf(report, 'copy')).toMatchObject({ read: 6000, written: 5992, skipped: 8 });
  const { rows: skips } = await shop.stores.migration.query<{ key: string; code: string; message: string }>(
    'SELECT item_key AS key, code, message FROM keystride.skip ORDER BY item_key::int',
  );
  expect(skips.map(({ key }) => Number(key))).toEqual([7, 1007, 2007, 3007, 4007, 4321, 5007, 5555]);
  expect(new Set(skips.map(({ code }) => code))).toEqual(
    new Set(['SQLSTATE_22001', 'SQLSTATE_22P02', 'SQLSTATE_23514']),
  );
  expect(JSON.stringify(skips)).not.toContain('secret');
  await shop.stores.service.query(`UPDATE shop.word SET word = 'ok'`);
  await run(shop.world, 'redrive', { instance: report.instance });
  const { rows } = await shop.stores.migration.query<{ words: number; open: number }>(
    `SELECT (SELECT count(*)::int FROM shop.word) AS words,
            (SELECT count(*)::int FROM keystride.skip WHERE status = 'open') AS open`,
  );
  expect(rows).toEqual([{ words: 5998, open: 2 }]);
});

test('rows whose keys are as long as an index takes are skips, and can be run again', async () => {
  const create = (word: string) => `CREATE TABLE shop.long (code text PRIMARY KEY, word ${word})`;
  await shop.stores.service.query(create('text'));
  // Such as cannot be compressed. The ledger's index has the instance and the step beside it.
  await shop.stores.service.query(
    `INSERT INTO shop.long SELECT left(string_agg(encode(sha512((n * 1000 + i)::text::bytea), 'base64'), ''), 2660), 'far too long'
       FROM generate_series(1, 2) AS n, generate_series(1, 40) AS i GROUP BY n`,
  );
  await shop.stores.migration.query(create('varchar(5)'));
  const report = await sync({ source: 'shop.long', partitions: 1 });
  expect(stepOf(report, 'copy')).toMatchObject({ read: 2, written: 0, skipped: 2 });
  await shop.stores.service.query(`UPDATE shop.long SET word = 'ok'`);
  await run(shop.world, 'redrive', { instance: report.instance });
  const { rows } = await shop.stores.migration.query('SELECT word FROM shop.long');
  expect(rows).toEqual([{ word: 'ok' }, { word: 'ok' }]);
});
