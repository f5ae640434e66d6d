import { beforeEach, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { logSyncs } from '../support/log-syncs.ts';
import { failureOf, run, stepOf } from '../support/runs.ts';
import { rowsOf, toldBy, useShop } from '../support/shop.ts';

/** Sinks that a run makes after its source. */

const shop = useShop({ ownServers: true });

const { empty, expectSame, sync } = logSyncs(() => shop);

beforeEach(async () => {
  await empty();
  await shop.stores.migration.query('DROP SCHEMA shop');
});

/** The columns of a table, with their types, and whether they may be null. */
async function columnsOf(table: string): Promise<string[]> {
  const { rows } = await shop.stores.migration.query<{ column: string }>(
    `SELECT concat_ws(' ', attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NOT NULL' END) AS column
       FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum`,
    [table],
  );
  return rows.map(({ column }) => column);
}

const odd = `CREATE TABLE shop."odd, table" (
  "the ""key""" varchar(9) COLLATE "C", part bigint GENERATED ALWAYS AS IDENTITY, amount numeric(10,2) NOT NULL DEFAULT 1.50,
  twice numeric GENERATED ALWAYS AS (amount * 2) STORED, at timestamptz(3), tags text[], doc jsonb,
  PRIMARY KEY (part, "the ""key"""))`;

test.for(['bulk', 'incrementing'])('mode=%s makes a sink with its types and its key, once', async (mode) => {
  await shop.stores.service.query(odd);
  await shop.stores.service.query('CREATE INDEX by_amount ON shop."odd, table" (amount)');
  await shop.stores.service.query(
    `INSERT INTO shop."odd, table" ("the ""key""", at, tags, doc) SELECT 'k' || n, now(), '{a,b}', '{"a":1}' FROM generate_series(1, 10) AS n`,
  );
  const parameters = { source: 'shop."odd, table"', mode, createSink: true };
  const report = await run(shop.world, 'tableSync', parameters);
  expect(toldBy(report)).toEqual([
    expect.stringMatching(/sink shop."odd, table" was made, with its key/),
    expect.stringMatching(/has not this index of its source: CREATE INDEX by_amount/),
  ]);
  expect(await columnsOf('shop."odd, table"')).toEqual([
    'the "key" character varying(9) NOT NULL',
    'part bigint NOT NULL',
    'amount numeric(10,2) NOT NULL',
    ...['twice numeric', 'at timestamp(3) with time zone', 'tags text[]', 'doc jsonb'],
  ]);
  expect(await rowsOf(shop.stores.migration, 'shop."odd, table"')).toEqual(
    await rowsOf(shop.stores.service, 'shop."odd, table"'),
  );
  expect(toldBy(await run(shop.world, 'tableSync', { ...parameters, run: 2 }))).toEqual([]);
});

test('mode=log makes all tables of a schema, and follows them', async () => {
  await shop.stores.service.query(`CREATE TABLE shop.k (id int PRIMARY KEY, note text NOT NULL);
    CREATE TABLE shop.l (id int PRIMARY KEY, k int REFERENCES shop.k);
    INSERT INTO shop.k VALUES (1, 'one'); INSERT INTO shop.l VALUES (1, 1)`);
  await sync({ tables: ['shop.*'], createSink: true });
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (2, 'two'); DELETE FROM shop.l`);
  expect(stepOf(await sync({ tables: ['shop.*'], createSink: true }), 'copy').read).toBe(0);
  await expectSame();
  await expectSame('shop.l');
});

test('renamed, cast and masked columns are of the sink', async () => {
  await shop.stores.service
    .query(`CREATE TABLE shop.k (id int PRIMARY KEY, note text, secret int NOT NULL, gone text);
    INSERT INTO shop.k VALUES (1, '12', 3, 'x')`);
  await run(shop.world, 'tableSync', {
    ...{ source: 'shop.k', sink: 'shop.copy', createSink: true, drop: ['gone'] },
    ...{ rename: ['id:number'], cast: ['note:int'], mask: ['secret:fixed:hidden'] },
  });
  expect(await columnsOf('shop.copy')).toEqual([
    'number integer NOT NULL',
    'note integer',
    'secret text NOT NULL',
  ]);
  expect(await rowsOf(shop.stores.migration, 'shop.copy')).toEqual([
    '{"note": 12, "number": 1, "secret": "hidden"}',
  ]);
});

test('a plan tells the statement and makes nothing', async () => {
  await shop.stores.service.query('CREATE TABLE shop.k (id int PRIMARY KEY)');
  const planned = await keystride(
    ['plan', 'tableSync', '--param', 'source=shop.k', '--param', 'createSink=true'],
    shop.world.environment,
  );
  expect(planned.stdout + planned.stderr).toMatch(
    /A run makes it: CREATE TABLE "shop"."k" \("id" integer NOT NULL, PRIMARY KEY \("id"\)\)/,
  );
  const { rows } = await shop.stores.migration.query(`SELECT FROM pg_namespace WHERE nspname = 'shop'`);
  expect(rows).toEqual([]);
});

test('a type that the sink lacks is refused with the statement that makes it, and nothing is left', async () => {
  await shop.stores.service.query(`CREATE TYPE shop.mood AS ENUM ('glad', 'it''s so');
    CREATE TABLE shop.k (id int PRIMARY KEY, mood shop.mood)`);
  const failed = await failureOf(await shop.world.start('tableSync', { source: 'shop.k', createSink: true }));
  expect(failed.message).toMatch(/CREATE TYPE shop.mood AS ENUM \('glad', 'it''s so'\)/);
  const { rows } = await shop.stores.migration.query(`SELECT FROM pg_namespace WHERE nspname = 'shop'`);
  expect(rows).toEqual([]);
});
