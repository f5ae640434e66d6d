import { beforeEach, expect, test } from 'vitest';
import { logSyncs } from '../support/log-syncs.ts';
import { run, stepOf } from '../support/runs.ts';
import { rowsOf, useShop } from '../support/shop.ts';

/** Rows and columns that are refused where tables are followed in the log of their source. */

const shop = useShop({ ownServers: true });

const { empty, expectSame, onBoth, refusal, sync } = logSyncs(() => shop);

beforeEach(empty);

const skips = async () => {
  const { rows } = await shop.stores.migration.query<{ skip: string }>(
    `SELECT concat_ws(' ', item_key, code, status, attempts) AS skip FROM keystride.skip WHERE step = 'follow' ORDER BY skip`,
  );
  return rows.map(({ skip }) => skip);
};

const redrive = (instance: string | null) => run(shop.world, 'redrive', { instance });

/** A copy whose sink takes less than its source. */
async function strictSink(): Promise<void> {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, code text UNIQUE, part smallint)');
  await shop.stores.migration.query('ALTER TABLE shop.k ADD CONSTRAINT small CHECK (id < 1000)');
  await shop.stores.service.query('ALTER TABLE shop.k ALTER part TYPE int');
  await sync();
}

test('a row that the sink refuses is one skip with its reason, and all others of its transaction arrive', async () => {
  await strictSink();
  await shop.stores.service.query(
    `INSERT INTO shop.k SELECT n, 'c' || n, n FROM generate_series(1, 500) AS n`,
  );
  await shop.stores.service.query(`BEGIN; INSERT INTO shop.k VALUES (501, 'whole', 1), (1000, 'refused', 1);
    UPDATE shop.k SET part = 100000 WHERE id = 7; UPDATE shop.k SET part = 0 WHERE id = 8; COMMIT`);
  // Refused again: it is the same row, and the same skip.
  await shop.stores.service.query('UPDATE shop.k SET part = 100001 WHERE id = 7');
  const followed = await sync();
  expect(followed.status).toBe('completedWithSkips');
  expect(stepOf(followed, 'follow')).toMatchObject({ read: 505, skipped: 2 });
  expect(await skips()).toEqual([
    'shop.k 1000 SQLSTATE_23514 open 1',
    expect.stringMatching(/^shop.k 7 SQLSTATE_22003 open \d/),
  ]);
  expect(
    await rowsOf(shop.stores.migration, `(SELECT id, part FROM shop.k WHERE id IN (7, 8, 501))`),
  ).toEqual(['{"id": 501, "part": 1}', '{"id": 7, "part": 7}', '{"id": 8, "part": 0}']);
});

test('a redrive reads what was set aside again, as the source has it by then', async () => {
  await strictSink();
  await shop.stores.service.query(
    `INSERT INTO shop.k VALUES (1000, 'first', 1), (1001, 'second', 1), (1002, 'third', 1)`,
  );
  const { instance } = await sync();
  expect(await skips()).toHaveLength(3);
  await shop.stores.service.query(
    `UPDATE shop.k SET code = 'later' WHERE id = 1000; DELETE FROM shop.k WHERE id = 1002`,
  );
  await shop.stores.migration.query(
    'ALTER TABLE shop.k DROP CONSTRAINT small, ADD CONSTRAINT small CHECK (id < 1001)',
  );
  await redrive(instance);
  const next = await sync();
  expect(stepOf(next, 'copy').read).toBe(0);
  expect(await rowsOf(shop.stores.migration)).toEqual(['{"id": 1000, "code": "later", "part": 1}']);
  // Refused once more, in the run that has read it again.
  expect(await skips()).toEqual([
    'shop.k 1000 SQLSTATE_23514 redriven 1',
    expect.stringMatching(/^shop.k 1001 SQLSTATE_23514 open/),
    'shop.k 1001 SQLSTATE_23514 redriven 1',
    'shop.k 1002 SQLSTATE_23514 redriven 1',
  ]);
  await shop.stores.migration.query('ALTER TABLE shop.k DROP CONSTRAINT small');
  await redrive(next.instance);
  await sync();
  await expectSame();
});

test('a unique value that is taken in the sink is read again, then set aside', async () => {
  await strictSink();
  await shop.stores.migration.query(`INSERT INTO shop.k VALUES (900, 'taken')`);
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (1, 'taken'), (2, 'free')`);
  const followed = await sync();
  expect(stepOf(followed, 'follow')).toMatchObject({ skipped: 1 });
  expect(await skips()).toEqual([expect.stringMatching(/^shop.k 1 SQLSTATE_23505 open/)]);
});

test('more rows than may be set aside end the run by name, and arrive with the next when the sink takes them', async () => {
  await strictSink();
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (9, 'a'), (1000, 'b'), (1001, 'c')`);
  expect(await refusal({ skipLimit: 1 })).toMatch(
    /1 items are skipped and 1 more would exceed the limit of 1.*shop.k 1001, SQLSTATE_23514/,
  );
  expect(await refusal({ skipLimit: 0 })).toMatch(/step follow .*SQLSTATE 23514/);
  expect(await rowsOf(shop.stores.migration)).toEqual([]);
  await shop.stores.migration.query('ALTER TABLE shop.k DROP CONSTRAINT small');
  expect(stepOf(await sync(), 'copy').read).toBe(0);
  await expectSame();
});

interface RefusedColumn {
  /** What is done to the table of the source, or of the sink. */
  readonly source?: string;
  readonly sink?: string;
  readonly parameters?: object;
  readonly told: RegExp;
}

test.for<[string, RefusedColumn]>([
  ['is not there', { parameters: { drop: ['shop.k.none'] }, told: /shop.k has no column none/ }],
  ['is of the key and left out', { parameters: { drop: ['shop.k.id'] }, told: /column id of shop.k is of/ }],
  [
    'is of the key and converted',
    { parameters: { cast: ['shop.k.id:text'] }, told: /column id of shop.k is/ },
  ],
  [
    'is converted to no type',
    { parameters: { cast: ['shop.k.note:no'] }, told: /column note of shop.k, is/ },
  ],
  ['is masked', { parameters: { mask: ['shop.k.note:hash'] }, told: /cannot mask those of shop.k there/ }],
  [
    'is written to twice',
    { parameters: { rename: ['shop.k.note:id'] }, told: /two columns of shop.k would/ },
  ],
  ['is not in the sink', { source: 'ADD one int', told: /shop.k has no column one.*by drop=shop.k.one/ }],
  ['is not given', { sink: 'ADD one int NOT NULL', told: /column one of the sink shop.k is NOT NULL/ }],
  [
    'tells fewer keys',
    { sink: 'ALTER id TYPE char(20)', told: /the key column id is .* in the sink shop.k/ },
  ],
  [
    'is computed in the source',
    {
      source: 'ADD half int GENERATED ALWAYS AS (id / 2) STORED',
      sink: 'ADD half int',
      told: /column half of shop.k is computed there.*by drop=shop.k.half/,
    },
  ],
])('among several tables a column that %s is named with its table', async ([, given]) => {
  const { source, sink, parameters, told } = given;
  await onBoth(
    'CREATE TABLE shop.k (id bigint PRIMARY KEY, note text); CREATE TABLE shop.j (id int PRIMARY KEY)',
  );
  if (sink !== undefined) await shop.stores.migration.query(`ALTER TABLE shop.k ${sink}`);
  if (source !== undefined) await shop.stores.service.query(`ALTER TABLE shop.k ${source}`);
  expect(await refusal({ tables: ['shop.*'], ...parameters })).toMatch(told);
});
