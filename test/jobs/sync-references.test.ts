import { beforeEach, expect, test } from 'vitest';
import type { Stores } from '../support/migration.ts';
import { run, stepOf } from '../support/runs.ts';
import { emptyShop, useShop } from '../support/shop.ts';

/** Tables whose rows refer to other rows of the same table. */

const shop = useShop({ ownServers: true });

beforeEach(() => emptyShop(shop.stores));

let runs = 0;
const sync = (parameters: object = {}) =>
  run(shop.world, 'tableSync', { source: 'shop.k', mode: 'incrementing', run: (runs += 1), ...parameters });

async function rowsOf(pool: Stores['service']): Promise<string[]> {
  const { rows } = await pool.query<{ row: string }>('SELECT k::text AS row FROM shop.k');
  return rows.map(({ row }) => row).toSorted();
}

const expectSame = async () =>
  expect(await rowsOf(shop.stores.migration)).toEqual(await rowsOf(shop.stores.service));

const referring = 'CREATE TABLE shop.k (id int PRIMARY KEY, parent int REFERENCES shop.k)';
const loose = 'CREATE TABLE shop.k (id int PRIMARY KEY, parent int)';

test.for<[string, { source?: string; sink?: string; rows: string; parameters?: object }]>([
  [
    'parents come later',
    { rows: 'SELECT n, CASE WHEN n <= 200 THEN n + 100 END FROM generate_series(1, 300) AS n' },
  ],
  [
    'a chain over many chunks, its end last',
    { rows: 'SELECT n, CASE WHEN n < 17000 THEN n + 1 END FROM generate_series(1, 17000) AS n' },
  ],
  ['a chain, its end first', { rows: 'SELECT n, nullif(n - 1, 0) FROM generate_series(1, 12000) AS n' }],
  [
    'parents anywhere, far more of them than may be skipped',
    {
      rows: `SELECT n, CASE WHEN n <> 7777 THEN CASE WHEN n % 3 = 0 THEN 7777 ELSE (n * 7919 % 12000) / 3 * 3 + 3 END END
               FROM generate_series(1, 12000) AS n`,
    },
  ],
  ['rows that refer to each other', { rows: 'SELECT n, n # 1 FROM generate_series(2, 201) AS n' }],
  [
    'a constraint that waits for the commit',
    {
      sink:
        `${referring} DEFERRABLE INITIALLY DEFERRED`.replace('REFERENCES shop.k) D', 'REFERENCES shop.k D') +
        ')',
      rows: 'SELECT n, CASE WHEN n <= 6000 THEN n + 1 END FROM generate_series(1, 6001) AS n',
    },
  ],
  [
    'a reference of two columns, to a key that is not the primary one',
    {
      source: 'CREATE TABLE shop.k (id int PRIMARY KEY, a text, b bigint, pa text, pb bigint)',
      sink: `CREATE TABLE shop.k (id int PRIMARY KEY, a text, b bigint, pa text, pb bigint, UNIQUE (a, b),
               FOREIGN KEY (pa, pb) REFERENCES shop.k (a, b))`,
      rows: `SELECT n, 'x,' || n % 7, n, CASE WHEN n < 6000 THEN 'x,' || (n + 1) % 7 END, CASE WHEN n < 6000 THEN n + 1 END
               FROM generate_series(1, 6000) AS n`,
    },
  ],
  [
    'in the order of a timestamp',
    {
      source: `CREATE TABLE shop.k (id int PRIMARY KEY, parent int, at timestamptz NOT NULL)`,
      sink: `CREATE TABLE shop.k (id int PRIMARY KEY, parent int REFERENCES shop.k, at timestamptz)`,
      rows: `SELECT n, CASE WHEN n < 6000 THEN n + 1 END, timestamptz '2025-01-01Z' + n * interval '1 s' FROM generate_series(1, 6000) AS n`,
      parameters: { mode: 'timestamp', timestamp: 'at' },
    },
  ],
])('arrives whole: %s', async ([, { source = loose, sink = referring, rows, parameters }]) => {
  await shop.stores.service.query(`${source}; INSERT INTO shop.k ${rows}`);
  await shop.stores.migration.query(sink);
  const report = await sync({ partitions: 4, ...parameters });
  expect(report.status).toBe('completed');
  await expectSame();
  const { read, written, filtered } = stepOf(report, 'copy');
  expect({ written, filtered }).toEqual({ written: read, filtered: 0 });
  expect((await shop.stores.migration.query('SELECT FROM keystride.postponed_row')).rowCount).toBe(0);
});

test('what refers to nothing is skipped in the end, with what refers to it; the books are exact', async () => {
  await shop.stores.service.query(`${loose};
    INSERT INTO shop.k SELECT n, CASE WHEN n < 6000 AND n % 1000 <> 0 THEN n + 1 END FROM generate_series(1, 6000) AS n;
    UPDATE shop.k SET parent = 99999 WHERE id = 5990`);
  await shop.stores.migration.query(referring);
  const report = await sync({ partitions: 2 });
  expect(report.status).toBe('completedWithSkips');
  // 5990 refers to nothing, and 5001 to 5989 to it, one by the other.
  expect(stepOf(report, 'copy')).toMatchObject({ read: 6000, written: 5010, filtered: 0, skipped: 990 });
  const { rows: skips } = await shop.stores.migration.query<{ low: number; high: number; code: string }>(
    `SELECT min(item_key::int) AS low, max(item_key::int) AS high, min(code) AS code FROM keystride.skip`,
  );
  expect(skips).toEqual([{ low: 5001, high: 5990, code: 'SQLSTATE_23503' }]);
  await shop.stores.service.query('UPDATE shop.k SET parent = null WHERE id = 5990');
  await run(shop.world, 'redrive', { instance: report.instance });
  await expectSame();
});

test('what commits late waits for its parents too', async () => {
  await shop.stores.service.query(`${loose}; INSERT INTO shop.k VALUES (100000, null)`);
  await shop.stores.migration.query(referring);
  await sync();
  await shop.stores.service.query(
    'INSERT INTO shop.k SELECT n, CASE WHEN n < 6000 THEN n + 1 END FROM generate_series(1, 6000) AS n',
  );
  const report = await sync();
  expect(stepOf(report, 'sweep')).toMatchObject({ read: 6000, written: 6000, filtered: 0, skipped: 0 });
  await expectSame();
});
