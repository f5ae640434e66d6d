import { beforeEach, expect, test } from 'vitest';
import { describeKey } from '../../packages/keystride/src/stores/postgres/key-columns.ts';
import { keyOrder } from '../../packages/keystride/src/stores/postgres/key-order.ts';
import { failureOf, reportOf } from '../support/runs.ts';
import { emptyShop, onBothSides, rowsOf, useShop } from '../support/shop.ts';

// A key that was read in one order and is read on in another leaves out what has moved before its last one.
const shop = useShop();

beforeEach(() => emptyShop(shop.stores));

/** Names that begin with a letter of either case, which collations sort otherwise than bytes do. */
const names = `INSERT INTO shop.k SELECT (CASE WHEN n % 2 = 0 THEN 'a' ELSE 'B' END) || lpad(n::text, 5, '0')
                 FROM generate_series(1, 12000) AS n`;

const alter = (collation: string) =>
  shop.stores.service.query(`ALTER TABLE shop.k ALTER COLUMN name TYPE text COLLATE ${collation}`);

test('a step that is gone on with in another order of its keys reads nothing, and says so', async () => {
  await onBothSides(shop.stores, 'CREATE TABLE shop.k (name text COLLATE "C" PRIMARY KEY)');
  await shop.stores.service.query(names);
  await shop.stores.migration.query(`ALTER TABLE shop.k ADD CONSTRAINT good CHECK (name <> 'a03000')`);
  const start = () =>
    shop.world.start('tableSync', { source: 'shop.k', run: 1, partitions: 1, skipLimit: 0 });
  expect((await failureOf(await start())).message).toContain('SkipLimitExceeded');
  const before = await rowsOf(shop.stores.migration);
  expect(before.length, 'it is in the middle').toBeGreaterThan(0);
  await alter('"und-x-icu"');
  await shop.stores.migration.query('ALTER TABLE shop.k DROP CONSTRAINT good');
  expect((await failureOf(await start())).message).toMatch(
    /its keys were in the order of name text COLLATE pg_catalog\."C" when it opened, and are in that of name text COLLATE pg_catalog\."und-x-icu" version [\d.]+ now/u,
  );
  expect(await rowsOf(shop.stores.migration)).toEqual(before);
  await alter('"C"');
  expect(await reportOf(await start())).toMatchObject({ status: 'completed' });
  expect(await rowsOf(shop.stores.migration)).toEqual(await rowsOf(shop.stores.service));
});

test('what is said of the order is followed: nothing is looked at once somebody has said that it is the same', async () => {
  await onBothSides(shop.stores, 'CREATE TABLE shop.k (name text COLLATE "C" PRIMARY KEY)');
  await shop.stores.service.query(
    `INSERT INTO shop.k SELECT lpad(n::text, 5, '0') FROM generate_series(1, 12000) AS n`,
  );
  await shop.stores.migration.query(`ALTER TABLE shop.k ADD CONSTRAINT good CHECK (name <> '06000')`);
  const start = () =>
    shop.world.start('tableSync', { source: 'shop.k', run: 2, partitions: 1, skipLimit: 0 });
  await failureOf(await start());
  await alter('"und-x-icu"');
  await shop.stores.migration.query('ALTER TABLE shop.k DROP CONSTRAINT good');
  const { message } = await failureOf(await start());
  await shop.stores.migration.query(/UPDATE keystride\.step .*$/u.exec(message)?.[0] ?? 'none was told');
  expect(await reportOf(await start())).toMatchObject({ status: 'completed' });
  expect(await rowsOf(shop.stores.migration)).toEqual(await rowsOf(shop.stores.service));
});

test.each([
  ['int', 'bigint', true],
  ['bigint', 'numeric(20)', true],
  ['varchar(10)', 'text', true],
  ['text', 'char(10)', false],
  ['text', 'bigint', false],
  ['timestamp', 'timestamp(3)', true],
  ['text COLLATE "C"', 'text COLLATE "POSIX"', false],
  ['text', 'text COLLATE "C"', false],
])('a key of %s that becomes one of %s: in the same order %s', async (before, after, same) => {
  await shop.stores.service.query(
    `CREATE TABLE shop.one (id ${before} PRIMARY KEY); CREATE TABLE shop.two (id ${after} PRIMARY KEY)`,
  );
  const orderOf = async (table: string) =>
    keyOrder(shop.stores.service, await describeKey(shop.stores.service, table, ['id']));
  expect((await orderOf('shop.one')) === (await orderOf('shop.two'))).toBe(same);
});
