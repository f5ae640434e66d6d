import { beforeEach, expect, test } from 'vitest';
import {
  accountTables,
  fillAccounts,
  hashesOf,
  writeAccounts,
  wrongBalances,
} from '../support/account-writer.ts';
import { asIfCopiedLater, logSyncs } from '../support/log-syncs.ts';
import { control, reportOf, stepOf, until } from '../support/runs.ts';
import { rowsOf, useShop } from '../support/shop.ts';
import { waitFor } from '../support/stack.ts';

/** A table that is followed in the log of its source. */

const shop = useShop({ ownServers: true });

const { empty, dropSlots, expectSame, onBoth, parametersOf, refusal, sync } = logSyncs(() => shop);

beforeEach(empty);

test('a copy is followed by every insert, update, delete, key change and truncate', async () => {
  await onBoth(
    'CREATE TABLE shop.k (id bigint PRIMARY KEY, note text, at timestamptz, exact numeric, bytes bytea)',
  );
  await shop.stores.service.query(
    `INSERT INTO shop.k SELECT n, 'note ' || n, timestamptz '2025-01-01 00:00:00.123456Z', 1.10, '\\x00ff' FROM generate_series(1, 1000) AS n`,
  );
  const first = await sync();
  expect(stepOf(first, 'copy')).toMatchObject({ read: 1000, written: 1000 });
  await expectSame();
  await shop.stores.service.query(
    `UPDATE shop.k SET note = 'changed', exact = 9007199254740993.10 WHERE id <= 10`,
  );
  await shop.stores.service.query('DELETE FROM shop.k WHERE id BETWEEN 20 AND 29');
  await shop.stores.service.query('UPDATE shop.k SET id = id + 10000 WHERE id BETWEEN 40 AND 49');
  await shop.stores.service.query(`INSERT INTO shop.k (id) VALUES (5000)`);
  const second = await sync();
  expect(stepOf(second, 'copy')).toMatchObject({ read: 0 });
  expect(stepOf(second, 'follow')).toMatchObject({ read: 31, written: 31 });
  await expectSame();
  await shop.stores.service.query('TRUNCATE shop.k');
  await shop.stores.service.query(`INSERT INTO shop.k (id) VALUES (1)`);
  expect(stepOf(await sync(), 'follow')).toMatchObject({ read: 2, written: 2 });
  await expectSame();
});

test('large values that did not change, keys that changed with them, and values that changed hands arrive', async () => {
  await onBoth(
    `CREATE TABLE shop.k (id bigint PRIMARY KEY, code text UNIQUE, large text, parent bigint REFERENCES shop.k)`,
  );
  // More than what is kept beside the row, and not to be compressed below that.
  await shop.stores.service.query(
    `INSERT INTO shop.k SELECT n, 'c' || n, string_agg(md5(n * 1000 + part || ''), ''), nullif(n - 1, 0)
       FROM generate_series(1, 20) AS n, generate_series(1, 200) AS part GROUP BY n`,
  );
  await sync({ partitions: 1 });
  await expectSame();
  await shop.stores.service.query(`UPDATE shop.k SET code = 'z' || id WHERE id <= 5`);
  await shop.stores.service.query(`UPDATE shop.k SET id = 100 WHERE id = 20`);
  // One after another, each holds; both at once, neither does.
  await shop.stores.service.query(`BEGIN;
    UPDATE shop.k SET code = 'free' WHERE id = 6; UPDATE shop.k SET code = 'c6' WHERE id = 7;
    UPDATE shop.k SET code = 'c7' WHERE id = 6; COMMIT`);
  await shop.stores.service.query(`BEGIN;
    UPDATE shop.k SET parent = NULL WHERE parent = 10; DELETE FROM shop.k WHERE id = 10;
    INSERT INTO shop.k VALUES (10, 'c10', NULL, 1); UPDATE shop.k SET parent = 10 WHERE id = 11; COMMIT`);
  await sync({ partitions: 1 });
  await expectSame();
});

test('a sync that goes on follows until it is stopped, pauses and resumes, and another run goes on from there', async () => {
  await onBoth('CREATE TABLE shop.k (id bigint PRIMARY KEY)');
  const handle = await shop.world.start('tableSync', parametersOf({ poll: 'continuous' }));
  const arrived = (id: number) =>
    waitFor(async () => (await rowsOf(shop.stores.migration)).includes(`{"id": ${id}}`), {
      what: `row ${id}`,
    });
  await until(shop.world, handle.workflowId, 'running');
  await shop.stores.service.query('INSERT INTO shop.k VALUES (1)');
  await arrived(1);
  await control(handle, 'pause', 'a look');
  await until(shop.world, handle.workflowId, 'paused');
  await shop.stores.service.query('INSERT INTO shop.k VALUES (2)');
  expect(await refusal()).toMatch(/is following tableSync:shop.k>shop.k:log: stop it first/);
  await control(handle, 'resume');
  await arrived(2);
  await control(handle, 'stop');
  expect((await reportOf(handle)).status).toBe('stopped');
  await shop.stores.service.query('INSERT INTO shop.k VALUES (3)');
  const next = await sync();
  expect(stepOf(next, 'copy').read).toBe(0);
  await expectSame();
});

test('a transaction that is too large to be held is applied while it is read, and never seen in part', async () => {
  await onBoth('CREATE TABLE shop.k (id bigint PRIMARY KEY, note text)');
  await sync();
  await shop.stores.service.query(
    `INSERT INTO shop.k SELECT n, repeat('x', 200) FROM generate_series(1, 60000) AS n`,
  );
  const seen = new Set<string>();
  const handle = await shop.world.start('tableSync', parametersOf({}));
  const stop = new AbortController();
  const looking = (async () => {
    while (!stop.signal.aborted)
      for (const row of await rowsOf(shop.stores.migration, '(SELECT count(*) FROM shop.k)')) seen.add(row);
  })();
  const report = await reportOf(handle).finally(() => stop.abort());
  await looking;
  expect(stepOf(report, 'follow')).toMatchObject({ read: 60_000, written: 60_000 });
  expect(['{"count": 0}', '{"count": 60000}']).toEqual(expect.arrayContaining([...seen]));
  await expectSame();
});

test('a transaction over three tables arrives as one, and foreign keys hold', async () => {
  await onBoth(`CREATE TABLE shop.customer (id bigint PRIMARY KEY, name text UNIQUE);
    CREATE TABLE shop.orders (id bigint PRIMARY KEY, customer bigint NOT NULL REFERENCES shop.customer, total bigint NOT NULL);
    CREATE TABLE shop.item (number bigint, line int, amount bigint NOT NULL, PRIMARY KEY (number, line),
      FOREIGN KEY (number) REFERENCES shop.orders)`);
  const sale = (id: number, lines: number) => `INSERT INTO shop.customer VALUES (${id}, 'c' || ${id});
    INSERT INTO shop.orders VALUES (${id}, ${id}, 0);
    INSERT INTO shop.item SELECT ${id}, n, n FROM generate_series(1, ${lines}) AS n;
    UPDATE shop.orders SET total = (SELECT sum(amount) FROM shop.item WHERE number = ${id}) WHERE id = ${id};`;
  await shop.stores.service.query(sale(1, 10));
  const handle = await shop.world.start(
    'tableSync',
    parametersOf({ tables: ['shop.*'], poll: 'continuous' }),
  );
  await waitFor(async () => (await rowsOf(shop.stores.migration, 'shop.item')).length === 10, {
    what: 'the copy',
  });
  const seen = new Set<string>();
  const stop = new AbortController();
  const looking = (async () => {
    const half = `(SELECT FROM shop.orders LEFT JOIN shop.item ON number = id GROUP BY id HAVING total <> coalesce(sum(amount), 0))`;
    while (!stop.signal.aborted) for (const row of await rowsOf(shop.stores.migration, half)) seen.add(row);
  })();
  for (let id = 2; id < 40; id++)
    await shop.stores.service.query(`BEGIN; ${sale(id, id === 20 ? 8000 : 5)}
      DELETE FROM shop.item WHERE number = ${id - 2}; DELETE FROM shop.orders WHERE id = ${id - 2};
      DELETE FROM shop.customer WHERE id = ${id - 2}; COMMIT`);
  await waitFor(
    async () =>
      JSON.stringify(await rowsOf(shop.stores.migration, 'shop.orders')) ===
      JSON.stringify(await rowsOf(shop.stores.service, 'shop.orders')),
    { what: 'the last transaction' },
  );
  stop.abort();
  await looking;
  await control(handle, 'stop');
  await reportOf(handle);
  expect([...seen]).toEqual([]);
  for (const table of ['shop.customer', 'shop.orders', 'shop.item']) await expectSame(table);
});

test('tables that refer to each other in a circle, and to themselves, are copied and followed', async () => {
  await onBoth(`CREATE TABLE shop.department (id int PRIMARY KEY, chief int);
    CREATE TABLE shop.employee (id int PRIMARY KEY, department int NOT NULL REFERENCES shop.department,
      boss int REFERENCES shop.employee);
    ALTER TABLE shop.department ADD FOREIGN KEY (chief) REFERENCES shop.employee`);
  // Everybody's boss comes later in the order of the keys.
  await shop.stores.service.query(`INSERT INTO shop.department SELECT generate_series(1, 50);
    INSERT INTO shop.employee SELECT n, n % 50 + 1, nullif(n + 1, 6001) FROM generate_series(1, 6000) AS n;
    UPDATE shop.department SET chief = 6000 - id`);
  const followed = async () => {
    // Where none may be set aside, none is tried twice either.
    const report = await sync({ tables: ['shop.*'], skipLimit: 0 });
    for (const table of ['shop.department', 'shop.employee']) await expectSame(table);
    return [
      report.status,
      stepOf(report, 'copy').read,
      await rowsOf(shop.stores.migration, 'keystride.unsettled_row'),
    ];
  };
  expect(await followed()).toEqual(['completed', 6050, []]);
  await shop.stores.service.query(`BEGIN; INSERT INTO shop.department VALUES (101);
    INSERT INTO shop.employee VALUES (10001, 101, NULL), (10002, 101, 10001);
    UPDATE shop.department SET chief = 10002 WHERE id = 101; COMMIT`);
  expect(await followed()).toEqual(['completed', 0, []]);
  await shop.stores.service.query(`BEGIN; UPDATE shop.department SET chief = NULL WHERE id <= 50;
    DELETE FROM shop.employee WHERE id <= 6000; DELETE FROM shop.department WHERE id <= 50; COMMIT`);
  expect(await followed()).toEqual(['completed', 0, []]);
  // In no order of its statements would the sink take these.
  for (const constraint of [
    'department ALTER CONSTRAINT department_chief_fkey',
    'employee ALTER CONSTRAINT employee_department_fkey',
  ])
    await shop.stores.service.query(`ALTER TABLE shop.${constraint} DEFERRABLE INITIALLY DEFERRED`);
  await shop.stores.service.query(`BEGIN; INSERT INTO shop.department VALUES (102, 10003);
    INSERT INTO shop.employee VALUES (10003, 102, NULL); COMMIT`);
  expect(await followed()).toEqual(['completed', 0, []]);
  await shop.stores.service.query(`BEGIN; DELETE FROM shop.department WHERE id = 102;
    DELETE FROM shop.employee WHERE id = 10003; COMMIT`);
  expect(await followed()).toEqual(['completed', 0, []]);
});

test('a circle in which nothing may be null is followed when a reference may wait, and copied when it may be null first', async () => {
  await onBoth(`CREATE TABLE shop.department (id int PRIMARY KEY, chief int NOT NULL);
    CREATE TABLE shop.employee (id int PRIMARY KEY, department int NOT NULL REFERENCES shop.department);
    ALTER TABLE shop.department ADD FOREIGN KEY (chief) REFERENCES shop.employee`);
  const constraint = 'ALTER TABLE shop.department ALTER CONSTRAINT department_chief_fkey DEFERRABLE';
  await shop.stores.service.query(`${constraint} INITIALLY DEFERRED`);
  const hire = (id: number) => `BEGIN; INSERT INTO shop.department VALUES (${id}, ${id});
    INSERT INTO shop.employee VALUES (${id}, ${id}); COMMIT`;
  for (const id of [1, 2, 3]) await shop.stores.service.query(hire(id));
  const tables = ['shop.department', 'shop.employee'];
  for (const wanted of [/ALTER TABLE .* DEFERRABLE/u, /ALTER TABLE .* DROP NOT NULL/u]) {
    const [statement = ''] = wanted.exec(await refusal({ tables })) ?? [];
    await shop.stores.migration.query(statement);
  }
  await sync({ tables });
  for (const table of tables) await expectSame(table);
  await shop.stores.migration.query('ALTER TABLE shop.department ALTER COLUMN chief SET NOT NULL');
  for (const id of [4, 5]) await shop.stores.service.query(hire(id));
  // Also where each constraint has to say which rows it forbids.
  await asIfCopiedLater(shop.stores);
  const followed = await sync({ tables });
  expect([followed.status, stepOf(followed, 'copy').read]).toEqual(['completed', 0]);
  for (const table of tables) await expectSame(table);
});

test('a key that another row has taken, when the copy saw it, keeps its large value', async () => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, large text)');
  await onBoth('ALTER TABLE shop.k ALTER large SET STORAGE EXTERNAL');
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (1, repeat('first', 1000))`);
  await sync();
  // As if the copy were of a later moment than the log: its rows are there before it tells of them.
  const moved = `UPDATE shop.k SET id = 2 WHERE id = 1; INSERT INTO shop.k VALUES (1, repeat('other', 1000))`;
  await onBoth(moved);
  await asIfCopiedLater(shop.stores);
  await sync({ skipLimit: 0 });
  await expectSame();
});

test('a value that another row of the sink still has when the copy brings it arrives', async () => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, code text UNIQUE)');
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (1, 'a'), (2, 'b')`);
  await shop.stores.migration.query(`INSERT INTO shop.k VALUES (2, 'a')`);
  const report = await sync({ skipLimit: 0, partitions: 1 });
  expect(stepOf(report, 'copy')).toMatchObject({ read: 2, written: 2 });
  await expectSame();
});

test('among several tables each has its own transforms, and one that names none of them is refused', async () => {
  await shop.stores.service
    .query(`CREATE TABLE shop.price (id int PRIMARY KEY, note text, amount text, secret text);
    CREATE TABLE shop.unit (code int PRIMARY KEY, note text); INSERT INTO shop.unit VALUES (1, 'kg');
    INSERT INTO shop.price VALUES (1, 'one', ' 12.7 ', 'x')`);
  await shop.stores.migration.query(`CREATE TABLE shop.price (id int PRIMARY KEY, remark text, amount int);
    CREATE TABLE shop.unit (code int PRIMARY KEY, note text)`);
  const tables = ['shop.*'];
  expect(await refusal({ tables, drop: ['secret'] })).toMatch(
    /drop=secret names none of the tables.*as shop.price.column. The tables are: shop.price, shop.unit/,
  );
  const own = {
    ...{ tables, drop: ['shop.price.secret'], rename: ['shop.price.note:remark'] },
    cast: ['shop.price.amount:numeric'],
  };
  await sync(own);
  await shop.stores.service.query(`INSERT INTO shop.price VALUES (2, 'two', ' 7 ', 'y');
    UPDATE shop.price SET note = 'first' WHERE id = 1`);
  expect(stepOf(await sync(own), 'copy').read).toBe(0);
  await expectSame('shop.unit');
  expect(await rowsOf(shop.stores.migration, 'shop.price')).toEqual([
    '{"id": 1, "amount": 13, "remark": "first"}',
    '{"id": 2, "amount": 7, "remark": "two"}',
  ]);
});

test('what is written while tables are copied, swept and followed arrives', async () => {
  await onBoth(accountTables);
  await fillAccounts(shop.stores.service);
  const stop = new AbortController();
  const writing = writeAccounts(shop.world.sourceDatabaseUrl, stop.signal);
  const accounts = () => sync({ tables: ['shop.*'] });
  try {
    for (let copies = 1; copies <= 2; copies++) {
      // Without its slot, everything is copied anew.
      await dropSlots();
      await accounts();
    }
  } finally {
    stop.abort();
  }
  const { committed, rolledBack } = await writing;
  console.log(`${committed} transactions committed, ${rolledBack} rolled back`);
  await accounts();
  expect(await hashesOf(shop.stores.migration)).toEqual(await hashesOf(shop.stores.service));
  expect(await rowsOf(shop.stores.migration, `(${wrongBalances})`)).toEqual([]);
});
