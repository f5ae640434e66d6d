import { beforeEach, expect, test } from 'vitest';
import { failureOf, run } from '../support/runs.ts';
import { emptyShop, plain, rowsOf, useShop } from '../support/shop.ts';

/** What no sync reads from, or writes to: refused by name before a row is. */

const shop = useShop();

beforeEach(() => emptyShop(shop.stores));

let runs = 0;
const parametersOf = (parameters: object) => ({
  ...{ source: 'shop.k', mode: 'incrementing', partitions: 1, run: (runs += 1) },
  ...parameters,
});
const refusal = async (parameters: object = {}) =>
  (await failureOf(await shop.world.start('tableSync', parametersOf(parameters)))).message;

test.for<[string, { source: string; sink: string; parameters?: object; message: RegExp }]>([
  [
    'a key that was never checked for null',
    {
      source: `CREATE TABLE shop.k (code text UNIQUE, note text); INSERT INTO shop.k VALUES ('a', '1'), (null, '2');
        ALTER TABLE shop.k ADD CONSTRAINT there NOT NULL code NOT VALID`,
      sink: 'CREATE TABLE shop.k (code text PRIMARY KEY, note text)',
      parameters: { key: ['code'] },
      message: /NOT NULL by the constraint there of shop\.k, which is NOT VALID.*VALIDATE CONSTRAINT/u,
    },
  ],
  [
    'a source that others inherit from',
    {
      source: `${plain}; CREATE TABLE shop.child () INHERITS (shop.k); INSERT INTO shop.k VALUES (1, 'one'); INSERT INTO shop.child VALUES (1, 'also')`,
      sink: plain,
      message: /k_pkey does not hold over the tables that inherit/u,
    },
  ],
  [
    'a deferrable key',
    {
      source: 'CREATE TABLE shop.k (id int PRIMARY KEY DEFERRABLE)',
      sink: plain,
      message: /k_pkey is deferrable/u,
    },
  ],
  [
    'a key of some rows',
    {
      source:
        'CREATE TABLE shop.k (id int NOT NULL, note text); CREATE UNIQUE INDEX part ON shop.k (id) WHERE id > 0',
      sink: plain,
      parameters: { key: ['id'] },
      message: /part holds for some of the rows only/u,
    },
  ],
  [
    'a key on an expression',
    {
      source: 'CREATE TABLE shop.k (id int NOT NULL, note text); CREATE UNIQUE INDEX ON shop.k (abs(id))',
      sink: plain,
      parameters: { key: ['id'] },
      message: /\(id\) is no unique key/u,
    },
  ],
  [
    'an unlogged sink',
    {
      source: plain,
      sink: plain.replace('TABLE', 'UNLOGGED TABLE'),
      message: /unlogged \(shop\.k\).*ALTER TABLE shop\.k SET LOGGED/u,
    },
  ],
  [
    'the ledger as a sink',
    { source: plain, sink: plain, parameters: { sink: 'keystride.instance' }, message: /is of the ledger/u },
  ],
  [
    'the catalogue as a source',
    {
      source: plain,
      sink: plain,
      parameters: { source: 'pg_catalog.pg_class', sink: 'shop.k' },
      message: /is of the catalogue/u,
    },
  ],
  ...['INSTEAD NOTHING', 'ALSO SELECT 1'].map(
    (what): [string, { source: string; sink: string; message: RegExp }] => [
      `a sink with a rule: ${what}`,
      {
        source: plain,
        sink: `${plain}; CREATE RULE other AS ON INSERT TO shop.k DO ${what}`,
        message: /the rule other, which stands in for what is written: DROP RULE other ON "shop"\."k"/u,
      },
    ],
  ),
  [
    'a view',
    {
      source: 'CREATE TABLE shop.t (id int PRIMARY KEY); CREATE VIEW shop.k AS SELECT * FROM shop.t',
      sink: plain,
      message: /the source shop\.k is a view/u,
    },
  ],
])('refused by name: %s', async ([, { source, sink, parameters, message }]) => {
  await shop.stores.service.query(source);
  await shop.stores.migration.query(sink);
  expect(await refusal(parameters)).toMatch(message);
  expect(await rowsOf(shop.stores.migration)).toEqual([]);
});

test('an inherited table is refused when it joins a source that was copied before', async () => {
  await shop.stores.service.query(
    `${plain}; CREATE TABLE shop.k_old (id bigint PRIMARY KEY, note text); INSERT INTO shop.k VALUES (1001, 'new')`,
  );
  await shop.stores.migration.query(plain);
  await run(shop.world, 'tableSync', parametersOf({}));
  await shop.stores.service.query('ALTER TABLE shop.k_old INHERIT shop.k');
  expect(await refusal()).toMatch(/does not hold over the tables that inherit/u);
});
