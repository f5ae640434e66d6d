import { createHash } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { refuseUnsyncable } from '../../packages/keystride/src/table-sync/unsyncable.ts';
import { parametersFromText, parseParameters } from '../../packages/keystride/src/contract/parameters.ts';
import { tableSync } from '../../packages/keystride/src/table-sync/contract.ts';
import { keystride } from '../cli/support.ts';
import { failureOf, run, startVerification, stepOf } from '../support/runs.ts';
import { emptyShop, onBothSides, useShop } from '../support/shop.ts';

const shop = useShop();

beforeEach(() => emptyShop(shop.stores));

const onBoth = (statement: string) => onBothSides(shop.stores, statement);

let runs = 0;

/** Runs what somebody has written on the command line. */
const written = async (...words: string[]) => {
  const parameters = parseParameters(
    tableSync,
    parametersFromText(tableSync, [...words, `run=${(runs += 1)}`]),
  );
  return { parameters, report: await run(shop.world, 'tableSync', parameters) };
};

const refusal = async (parameters: object) =>
  (await failureOf(await shop.world.start('tableSync', { run: (runs += 1), ...parameters }))).message;

const odd = [
  'price.eur',
  'a b',
  '50%',
  'say "hi"',
  'a,b',
  'x:y',
  'select',
  'Ümlaut',
  'a as b',
  '__proto__',
  '*',
];
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

test('columns of any name are keys, cursors and values', async () => {
  await onBoth(`CREATE TABLE shop.odd ("the.key" int, "an, other" text, ${odd.map((name) => `${quoted(name)} text`).join(', ')},
    PRIMARY KEY ("the.key", "an, other"))`);
  const insert = (from: number) =>
    shop.stores.service.query(
      `INSERT INTO shop.odd SELECT n, 'k', ${odd.map((_, index) => `n || '-${index}'`).join(', ')}
         FROM generate_series($1::int, $1 + 99) AS n`,
      [from],
    );
  await insert(1);
  const first = await written('source=shop.odd', 'mode=incrementing', 'partitions=3');
  expect(stepOf(first.report, 'copy')).toMatchObject({ read: 100, written: 100 });
  await insert(101);
  await written('source=shop.odd', 'mode=incrementing');
  const all = 'SELECT * FROM shop.odd ORDER BY 1';
  expect((await shop.stores.migration.query(all)).rows).toEqual((await shop.stores.service.query(all)).rows);
  await shop.stores.migration.query('UPDATE shop.odd SET "price.eur" = NULL WHERE "the.key" = 7');
  const { parameters } = await written('source=shop.odd');
  await shop.stores.migration.query('UPDATE shop.odd SET "price.eur" = NULL WHERE "the.key" = 7');
  const verified = async (repair: boolean): Promise<unknown> =>
    (await startVerification(shop.world, { job: 'tableSync', parameters, repair })).result();
  expect(await verified(true)).toMatchObject({ verified: true, repaired: 1 });
  expect((await shop.stores.migration.query(all)).rows).toEqual((await shop.stores.service.query(all)).rows);
  const streams = (await keystride(['sync', 'list', '-o', 'json'], shop.world.environment)).json();
  expect(streams).toMatchObject({
    streams: [{ table: 'shop.odd', cursor: ['200', 'k'], lag: { rowsAbove: 0 } }],
  });
});

test('columns of any name are chosen, dropped, renamed, cast and masked', async () => {
  await shop.stores.service.query(
    `CREATE TABLE shop.odd (id int PRIMARY KEY, "price.eur" numeric, "a,b" text, "x:y" text, "say ""hi""" text, gone text)`,
  );
  await shop.stores.service.query(`INSERT INTO shop.odd VALUES (1, 12.345, 'one', 'two', 'three', 'four')`);
  await shop.stores.migration.query(
    `CREATE TABLE shop.even (id int PRIMARY KEY, "price, rounded" numeric(10,2), "c.d" text, "y:x" text, "say ""hi""" text)`,
  );
  await written(
    ...['source=shop.odd', 'sink=shop.even', 'drop=gone', 'cast=price.eur:numeric(10,2)'],
    ...['rename=price.eur:"price, rounded","a,b":c.d,"x:y":y:x', 'mask="""x:y"":fixed:Smith, John"'],
  );
  expect((await shop.stores.migration.query('SELECT * FROM shop.even')).rows).toEqual([
    { id: 1, 'price, rounded': '12.35', 'c.d': 'one', 'y:x': 'Smith, John', 'say "hi"': 'three' },
  ]);
});

test.for([
  ['shop.my table', '"my table"'],
  ['shop."dotted.table"', '"dotted.table"'],
  ['shop.a as b', '"a as b"'],
  ['"shop"."say ""hi"""', '"say ""hi"""'],
  ['shop.50%, off', '"50%, off"'],
] as const)('a table is named %s', async ([given, name]) => {
  await onBoth(`CREATE TABLE shop.${name} (id int PRIMARY KEY, note text)`);
  await shop.stores.service.query(
    `INSERT INTO shop.${name} SELECT n, 'n' FROM generate_series(1, 30000) AS n`,
  );
  const { report } = await written(`source=${given}`, 'mode=incrementing', 'partitions=3');
  expect(stepOf(report, 'copy')).toMatchObject({ read: 30_000, written: 30_000 });
  await shop.stores.service.query(`INSERT INTO shop.${name} VALUES (-1, 'late')`);
  const { parameters, report: second } = await written(`source=${given}`, 'mode=incrementing');
  expect(stepOf(second, 'sweep').read).toBeGreaterThan(0);
  const verification = await startVerification(shop.world, { job: 'tableSync', parameters, repair: false });
  expect(await verification.result()).toMatchObject({ verified: true, compared: 30_001 });
});

test.for([
  ['a view', 'shop.v', /the source shop\.v is a view/u],
  ['a materialized view', 'shop.m', /the source shop\.m is a materialized view/u],
  ['a sequence', 'shop.s', /the source shop\.s is a sequence/u],
  ['the catalogue', 'pg_catalog.pg_class', /of the catalogue \(schema pg_catalog\)/u],
  ['the catalogue without its schema', 'pg_class', /of the catalogue/u],
  ['the information schema', 'information_schema.sql_features', /of the catalogue/u],
  ['nothing', 'shop.nothing', /the source has no table shop\.nothing/u],
] as const)('%s is refused as a source', async ([, source, message]) => {
  await shop.stores.service
    .query(`CREATE TABLE shop.t (id int PRIMARY KEY); CREATE VIEW shop.v AS SELECT * FROM shop.t;
    CREATE MATERIALIZED VIEW shop.m AS SELECT * FROM shop.t; CREATE SEQUENCE shop.s`);
  await shop.stores.migration.query('CREATE TABLE shop.t (id int PRIMARY KEY)');
  expect(await refusal({ source, sink: 'shop.t' })).toMatch(message);
});

test.for([
  ['a view', 'shop.v', /the sink shop\.v is a view/u],
  ['the ledger', 'keystride.instance', /the sink keystride\.instance is of the ledger/u],
  ['the catalogue', 'pg_catalog.pg_class', /of the catalogue/u],
] as const)('%s is refused as a sink', async ([, sink, message]) => {
  await onBoth('CREATE TABLE shop.t (id int PRIMARY KEY); CREATE VIEW shop.v AS SELECT * FROM shop.t');
  expect(await refusal({ source: 'shop.t', sink })).toMatch(message);
});

test('a table is not copied to itself, nor to a part of itself', async () => {
  await onBoth(`CREATE TABLE shop.event (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE shop.event_1 PARTITION OF shop.event FOR VALUES FROM (0) TO (10);
    CREATE TABLE shop.event_2 PARTITION OF shop.event FOR VALUES FROM (10) TO (20)`);
  const here = (table: string) => ({ pool: shop.stores.migration, table });
  const itself = /in the same database/u;
  await expect(refuseUnsyncable(here('shop.event'), here('shop."event"'))).rejects.toThrow(itself);
  await expect(refuseUnsyncable(here('shop.event'), here('shop.event_1'))).rejects.toThrow(itself);
  await expect(refuseUnsyncable(here('shop.event_1'), here('shop.event'))).rejects.toThrow(itself);
  await refuseUnsyncable(here('shop.event_1'), here('shop.event_2'));
  await refuseUnsyncable({ pool: shop.stores.service, table: 'shop.event' }, here('shop.event'));
});

test('columns are chosen, dropped, renamed, converted and masked as declared', async () => {
  await shop.stores.service.query(`
    CREATE TABLE shop.customer (
      id int PRIMARY KEY, email text, phone text, born timestamptz, amount text, note text, "Odd Name" text, more text)`);
  await shop.stores.service.query(`
    INSERT INTO shop.customer VALUES (1, 'a@example.com', '010-1234', '2001-02-03 23:30:00Z', ' 12.7 ', 'secret', 'x', 'y'),
                                     (2, NULL, NULL, NULL, NULL, 'secret', 'x', 'y')`);
  await shop.stores.migration.query(`
    CREATE TABLE shop.client (
      "clientId" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text, phone text, born date, amount int,
      doubled int GENERATED ALWAYS AS (amount * 2) STORED, own text DEFAULT 'kept')`);
  const parameters = {
    source: 'shop.customer',
    sink: 'shop.client',
    columns: ['id', 'email', 'phone', 'born', 'amount', 'note'],
    drop: ['note'],
    rename: ['id:clientId'],
    cast: ['born:timestamptz', 'amount:numeric(10,4)'],
    mask: ['email:hash', "phone:fixed:it's hidden"],
  };
  expect(
    stepOf(await run(shop.world, 'tableSync', { run: (runs += 1), ...parameters }), 'copy'),
  ).toMatchObject({
    read: 2,
    written: 2,
    skipped: 0,
  });
  const { rows } = await shop.stores.migration.query(
    `SELECT "clientId", email, phone, born::text, amount, doubled, own FROM shop.client ORDER BY 1`,
  );
  expect(rows).toEqual([
    {
      clientId: '1',
      email: hashOfText('a@example.com'),
      phone: "it's hidden",
      born: '2001-02-03',
      amount: 13,
      doubled: 26,
      own: 'kept',
    },
    { clientId: '2', email: null, phone: null, born: null, amount: null, doubled: null, own: 'kept' },
  ]);
});

function hashOfText(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
