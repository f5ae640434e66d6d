import { beforeEach, expect, test } from 'vitest';
import { logSyncs } from '../support/log-syncs.ts';
import { stepOf } from '../support/runs.ts';
import { rowsOf, useShop } from '../support/shop.ts';

/** Changes that the sink does not take together, or not at first, where tables are followed in the log of their source. */

const shop = useShop({ ownServers: true });

const { empty, expectSame, onBoth, sync } = logSyncs(() => shop);

beforeEach(async () => {
  await empty();
  await shop.stores.migration.query('DROP SCHEMA IF EXISTS own CASCADE');
});

const tables = ['shop.*'];

/** Follows what has been done, with nothing copied anew. */
async function followed(parameters: object = {}) {
  const report = await sync({ tables, ...parameters });
  expect(stepOf(report, 'copy').read).toBe(0);
  return report;
}

const skips = async () => {
  const { rows } = await shop.stores.migration.query<{ code: string; count: number }>(
    `SELECT code, count(*)::int AS count FROM keystride.skip WHERE step = 'follow' GROUP BY code ORDER BY code`,
  );
  return rows.map(({ code, count }) => [code, count]);
};

/** Parents whose children the source changes by itself: what it tells has the parent first. */
async function families(): Promise<void> {
  await onBoth('CREATE TABLE shop.parent (id int PRIMARY KEY, code int UNIQUE)');
  const child = 'CREATE TABLE shop.child (id int PRIMARY KEY, parent int REFERENCES shop.parent';
  await shop.stores.service.query(`${child} ON DELETE CASCADE ON UPDATE CASCADE)`);
  await shop.stores.migration.query(`${child})`);
  await shop.stores.service.query(`INSERT INTO shop.parent SELECT n, n FROM generate_series(1, 3000) AS n;
    INSERT INTO shop.child SELECT n, n FROM generate_series(1, 3000) AS n`);
  await sync({ tables });
}

const swapped = `UPDATE shop.parent SET code = 0 WHERE id = 2900; UPDATE shop.parent SET code = 2900 WHERE id = 2901;
  UPDATE shop.parent SET code = 2901 WHERE id = 2900`;

test.for<[string, string, string?]>([
  [
    'removals that wait for their children, with a unique value that changes hands meanwhile',
    `DELETE FROM shop.parent WHERE id <= 2500;
     ${swapped}; INSERT INTO shop.parent VALUES (1, 1), (2, 3000001)`,
  ],
  [
    'a unique value that changes hands, and may at no moment be missing,',
    swapped,
    'ALTER TABLE shop.parent ADD CHECK (code IS NOT NULL)',
  ],
  [
    'keys that change with a unique value, and with their children',
    'UPDATE shop.parent SET id = -id WHERE id <= 100',
  ],
  [
    'a unique value that is free when another row has left',
    `DELETE FROM shop.parent WHERE id <= 2100; INSERT INTO shop.parent SELECT 10000 + n, n FROM generate_series(1, 2100) AS n`,
  ],
])('%s arrive though none may be set aside', async ([, changes, alteration = 'SELECT']) => {
  await families();
  await shop.stores.migration.query(alteration);
  await shop.stores.service.query(`BEGIN; ${changes}; COMMIT`);
  const { status } = await followed({ skipLimit: 0 });
  expect(status).toBe('completed');
  for (const table of ['shop.parent', 'shop.child']) await expectSame(table);
});

/** Rows of the sink's own, which nobody else knows of. */
async function ownReferences(constraint = ''): Promise<void> {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, note text)');
  await shop.stores.service.query(`INSERT INTO shop.k SELECT n, 'first' FROM generate_series(1, 1000) AS n`);
  await sync({ tables });
  await shop.stores.migration.query(
    `CREATE SCHEMA own;
     CREATE TABLE own.child (id int REFERENCES shop.k ${constraint}); INSERT INTO own.child VALUES (7), (8)`,
  );
}

test.for<[string, string, string]>([
  ['that may not wait', '', 'DELETE FROM shop.k WHERE id <= 500'],
  ['that may wait', 'DEFERRABLE INITIALLY DEFERRED', 'DELETE FROM shop.k WHERE id <= 500'],
  ['and is emptied', '', 'TRUNCATE shop.k'],
])(
  'a table of the sink that others of its own refer to, by a constraint %s, loses all other rows',
  async ([, how, changes]) => {
    await ownReferences(how);
    await shop.stores.service.query(
      `BEGIN; ${changes}; INSERT INTO shop.k SELECT n, 'new' FROM generate_series(2001, 5000) AS n; COMMIT`,
    );
    expect((await followed()).status).toBe('completedWithSkips');
    expect(await skips()).toEqual([['SQLSTATE_23503', 2]]);
    const kept = (await rowsOf(shop.stores.migration)).filter((row) => !/"id": [78],/u.test(row));
    expect(kept).toEqual(await rowsOf(shop.stores.service));
  },
);

test('more rows than are looked for one by one that other rows of the sink forbid are skips, and no others', async () => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, code int UNIQUE, during int4range)');
  await sync({ tables });
  await shop.stores.migration.query(`ALTER TABLE shop.k ADD EXCLUDE USING gist (during WITH &&);
    INSERT INTO shop.k SELECT -n, n FROM generate_series(2, 450, 2) AS n;
    INSERT INTO shop.k VALUES (-1000, NULL, int4range(1000, 2000))`);
  await shop.stores.service.query(`INSERT INTO shop.k SELECT n, n FROM generate_series(1, 450) AS n;
    INSERT INTO shop.k SELECT n, NULL, int4range(n, n + 1) FROM generate_series(991, 1010) AS n`);
  expect((await followed()).status).toBe('completedWithSkips');
  expect(await skips()).toEqual([
    ['SQLSTATE_23505', 225],
    ['SQLSTATE_23P01', 11],
  ]);
  const { rows } = await shop.stores.migration.query('SELECT FROM shop.k WHERE id > 0');
  expect(rows).toHaveLength(234);
});
