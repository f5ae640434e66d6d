import { beforeEach, expect, test } from 'vitest';
import { run } from '../support/runs.ts';
import { emptyShop, isDue, plain, readBy, rowsOf, toldBy, useShop } from '../support/shop.ts';

/** What comes to a table, or changes in it, without a row being written: found by the next run, or refused by name. */

const shop = useShop({ ownServers: true });

beforeEach(() => emptyShop(shop.stores));

let runs = 0;
const parametersOf = (parameters: object) => ({
  ...{ source: 'shop.k', mode: 'incrementing', partitions: 1, run: (runs += 1) },
  ...parameters,
});
const sync = (parameters: object = {}) => run(shop.world, 'tableSync', parametersOf(parameters));
async function expectSame(columns = '*'): Promise<void> {
  const table = `(SELECT ${columns} FROM shop.k)`;
  expect(await rowsOf(shop.stores.migration, table)).toEqual(await rowsOf(shop.stores.service, table));
}

const partitioned = `CREATE TABLE shop.k (id bigint PRIMARY KEY, note text) PARTITION BY RANGE (id);
  CREATE TABLE shop.k_new PARTITION OF shop.k FOR VALUES FROM (1001) TO (100000)`;
const loose = `CREATE TABLE shop.k_old (id bigint PRIMARY KEY, note text);
  INSERT INTO shop.k_old SELECT n, 'old' FROM generate_series(1, 100) AS n`;
const filled = `INSERT INTO shop.k SELECT n, 'new' FROM generate_series(1001, 1100) AS n`;
const attach = 'ALTER TABLE shop.k ATTACH PARTITION shop.k_old FOR VALUES FROM (1) TO (1001)';

interface Change {
  /** The source, before the first run. */
  readonly source: string;
  readonly sink: string;
  /** Between the first run and the second. */
  readonly change?: string;
  readonly changeSink?: string;
  readonly second?: object;
  /** What the second run reads: in `copy`, in `sweep`. */
  readonly reads?: readonly [number, number];
  readonly told?: RegExp;
  readonly compared?: string;
  readonly first?: object;
}

test.for<[string, Change]>([
  [
    'a partition is attached',
    {
      source: `${partitioned}; ${loose}; ${filled}`,
      sink: plain,
      change: attach,
      reads: [0, 100],
      told: /k_old has joined/u,
    },
  ],
  [
    'a partition is detached, and attached again with other rows below the offset',
    {
      source: `${partitioned}; ${loose}; ${filled}; ${attach}; DELETE FROM shop.k_old WHERE id > 50`,
      sink: plain,
      change: `ALTER TABLE shop.k DETACH PARTITION shop.k_old; INSERT INTO shop.k_old VALUES (77, 'meanwhile'); ${attach}`,
      told: /k_old has joined/u,
    },
  ],
  [
    'a partition with partitions of its own is attached',
    {
      source: `${partitioned}; ${loose}; ${filled};
        CREATE TABLE shop.k_tree (id bigint PRIMARY KEY, note text) PARTITION BY RANGE (id);
        ALTER TABLE shop.k_tree ATTACH PARTITION shop.k_old FOR VALUES FROM (1) TO (500)`,
      sink: plain,
      change: 'ALTER TABLE shop.k ATTACH PARTITION shop.k_tree FOR VALUES FROM (1) TO (1001)',
      reads: [0, 100],
    },
  ],
  [
    'a new partition is made, and filled',
    {
      source: `${partitioned}; ${filled}`,
      sink: plain,
      change: `CREATE TABLE shop.k_1 PARTITION OF shop.k FOR VALUES FROM (1) TO (1001); INSERT INTO shop.k VALUES (5, 'five')`,
      reads: [0, 1],
    },
  ],
  [
    'a row moves to another partition',
    {
      source: `${partitioned}; ${loose}; ${filled}; ${attach}`,
      sink: plain,
      change: `UPDATE shop.k SET note = 'moved', id = 5000 WHERE id = 7; DELETE FROM shop.k WHERE id = 5000; INSERT INTO shop.k VALUES (7, 'again')`,
    },
  ],
  [
    'a column with a default is added',
    {
      source: `${plain}; ${filled}`,
      sink: plain,
      change: 'ALTER TABLE shop.k ADD tier int NOT NULL DEFAULT 7',
      changeSink: 'ALTER TABLE shop.k ADD tier int',
      reads: [100, 0],
      told: /column tier was not copied before: everything is copied again/u,
    },
  ],
  [
    'a column is dropped and added again with another default',
    {
      source: `${plain}; ${filled}; ALTER TABLE shop.k ADD tier int DEFAULT 7`,
      sink: `${plain}; ALTER TABLE shop.k ADD tier int`,
      change: 'ALTER TABLE shop.k DROP tier; ALTER TABLE shop.k ADD tier int DEFAULT 8',
      reads: [100, 0],
      told: /column tier comes about otherwise/u,
    },
  ],
  [
    'the expression of a virtual column is another',
    {
      source: `${plain}; ${filled}; ALTER TABLE shop.k ADD long int GENERATED ALWAYS AS (id * 2) VIRTUAL`,
      sink: `${plain}; ALTER TABLE shop.k ADD long int`,
      change: 'ALTER TABLE shop.k ALTER long SET EXPRESSION AS (id * 3)',
      told: /column long comes about otherwise/u,
    },
  ],
  [
    'the type of a column is changed by an expression',
    {
      source: `${plain}; ${filled}`,
      sink: plain,
      change: 'ALTER TABLE shop.k ALTER note TYPE varchar USING upper(note)',
    },
  ],
  [
    'a label of an enum is renamed, deep in a composite',
    {
      source: `CREATE TYPE shop.mood AS ENUM ('sad', 'ok'); CREATE TYPE shop.pair AS (a shop.mood[], b int);
        CREATE TABLE shop.k (id int PRIMARY KEY, p shop.pair);
        INSERT INTO shop.k SELECT n, row(array['sad']::shop.mood[], n)::shop.pair FROM generate_series(1, 9) AS n`,
      sink: 'CREATE TABLE shop.k (id int PRIMARY KEY, p text)',
      change: `ALTER TYPE shop.mood RENAME VALUE 'sad' TO 'blue'; ALTER TYPE shop.mood ADD VALUE 'new'`,
      told: /calls its values otherwise/u,
      compared: 'id, p::text',
    },
  ],
  [
    'an attribute is added to a composite',
    {
      source: `CREATE TYPE shop.pair AS (a int); CREATE TABLE shop.k (id int PRIMARY KEY, p shop.pair);
        INSERT INTO shop.k VALUES (1, row(1))`,
      sink: 'CREATE TABLE shop.k (id int PRIMARY KEY, p text)',
      change: 'ALTER TYPE shop.pair ADD ATTRIBUTE b int CASCADE',
      compared: 'id, p::text',
    },
  ],
  [
    'the table is emptied and filled again',
    {
      source: `${plain}; ${filled}`,
      sink: plain,
      change: `TRUNCATE shop.k; INSERT INTO shop.k SELECT n, 'again' FROM generate_series(1001, 1100) AS n`,
      reads: [0, 100],
      told: /shop\.k was emptied, or written anew/u,
    },
  ],
  [
    'the table is filled again by a COPY that freezes its rows',
    {
      source: `${plain}; ${filled}`,
      sink: plain,
      change: `BEGIN; TRUNCATE shop.k; COPY shop.k FROM PROGRAM 'seq -f "%g,frozen" 1001 1100' (FORMAT csv, FREEZE); COMMIT; VACUUM (FREEZE) shop.k`,
    },
  ],
  [
    'the table gives way to another of its name',
    {
      source: `${plain}; ${loose}; ${filled}`,
      sink: plain,
      change: `DELETE FROM shop.k; INSERT INTO shop.k_old SELECT * FROM generate_series(1001, 1100), (VALUES ('swapped')) AS v;
        ALTER TABLE shop.k RENAME TO k_before; ALTER TABLE shop.k_old RENAME TO k`,
    },
  ],
  [
    'the table is written anew by a change of its persistence',
    {
      source: `${plain}; ${filled}`,
      sink: plain,
      change: `ALTER TABLE shop.k SET UNLOGGED; ALTER TABLE shop.k SET LOGGED; UPDATE shop.k SET note = 'x' WHERE id = 1050`,
    },
  ],
  [
    'the table is written anew by VACUUM FULL: nothing has to be copied',
    {
      source: `${plain}; ${filled}`,
      sink: plain,
      change: 'VACUUM FULL shop.k',
      changeSink: 'VACUUM FULL shop.k',
      reads: [0, 0],
    },
  ],
  [
    'the same by CLUSTER, after the rows were frozen',
    {
      source: `${plain}; ${filled}`,
      sink: plain,
      change: 'VACUUM (FREEZE) shop.k; CLUSTER shop.k USING k_pkey',
      changeSink: 'CLUSTER shop.k USING k_pkey',
      reads: [0, 0],
    },
  ],
  [
    'the sink is emptied',
    {
      source: `${plain}; ${filled}`,
      sink: plain,
      changeSink: 'TRUNCATE shop.k',
      reads: [100, 0],
      told: /k of the sink was emptied/u,
    },
  ],
  [
    'the sink is made again',
    {
      source: `${plain}; ${filled}`,
      sink: plain,
      changeSink: `DROP TABLE shop.k; ${plain}`,
      reads: [100, 0],
      told: /the sink shop\.k is another table/u,
    },
  ],
  [
    'a partition of the sink is made again',
    {
      source: `${plain}; ${filled}`,
      sink: partitioned,
      changeSink:
        'DROP TABLE shop.k_new; CREATE TABLE shop.k_new PARTITION OF shop.k FOR VALUES FROM (1001) TO (100000)',
      reads: [100, 0],
    },
  ],
  [
    'a partition of the sink is emptied',
    { source: `${plain}; ${filled}`, sink: partitioned, changeSink: 'TRUNCATE shop.k_new', reads: [100, 0] },
  ],
  [
    'a column of the sink is made again',
    {
      source: `${plain}; ${filled}`,
      sink: plain,
      changeSink: 'ALTER TABLE shop.k DROP note; ALTER TABLE shop.k ADD note text',
      reads: [100, 0],
    },
  ],
  [
    'a column of the sink becomes wider',
    {
      source: `CREATE TABLE shop.k (id int PRIMARY KEY, price numeric); INSERT INTO shop.k VALUES (1, 1.2345)`,
      sink: 'CREATE TABLE shop.k (id int PRIMARY KEY, price numeric(10,2))',
      changeSink: 'ALTER TABLE shop.k ALTER price TYPE numeric(10,4)',
    },
  ],
  [
    'one column more is to be copied',
    { source: `${plain}; ${filled}`, sink: plain, first: { columns: ['id'] }, second: {}, reads: [100, 0] },
  ],
  [
    'a mask is taken off',
    { source: `${plain}; ${filled}`, sink: plain, first: { mask: ['note:hash'] }, reads: [100, 0] },
  ],
  [
    'a fixed text is another',
    {
      source: `${plain}; ${filled}; UPDATE shop.k SET note = 'b'`,
      sink: plain,
      first: { mask: ['note:fixed:a'] },
      second: { mask: ['note:fixed:b'] },
      reads: [100, 0],
    },
  ],
  [
    'a conversion is another',
    {
      source: `CREATE TABLE shop.k (id int PRIMARY KEY, price numeric); INSERT INTO shop.k VALUES (1, 1.26)`,
      sink: 'CREATE TABLE shop.k (id int PRIMARY KEY, price numeric)',
      first: { cast: ['price:int'] },
      reads: [1, 0],
    },
  ],
  [
    'columns change places',
    {
      source: `CREATE TABLE shop.k (id int PRIMARY KEY, a text, b text); INSERT INTO shop.k VALUES (1, 'a', 'b')`,
      sink: 'CREATE TABLE shop.k (id int PRIMARY KEY, a text, b text)',
      first: { rename: ['a:b', 'b:a'] },
      reads: [1, 0],
    },
  ],
  [
    'nothing changes, and nothing is copied again',
    {
      source: `${plain}; ${filled}`,
      sink: plain,
      change: 'ANALYZE shop.k; COMMENT ON TABLE shop.k IS $$x$$',
      reads: [0, 0],
    },
  ],
])('%s', async ([, { source, sink, change, changeSink, first = {}, second = {}, reads, told, compared }]) => {
  await shop.stores.service.query(source);
  await shop.stores.migration.query(sink);
  await sync(first);
  for (const statement of statementsOf(change)) await shop.stores.service.query(statement);
  for (const statement of statementsOf(changeSink)) await shop.stores.migration.query(statement);
  const wasDue = await isDue(shop.stores, parametersOf(second));
  const report = await sync(second);
  await expectSame(compared);
  expect(wasDue, 'the wait before it ends').toBe(
    readBy(report).some((read) => read > 0) || toldBy(report).length > 0,
  );
  if (reads) expect(readBy(report)).toEqual(reads);
  if (told) expect(toldBy(report).join('\n')).toMatch(told);
  // Told once: the next run finds it as it was met.
  expect(readBy(await sync(second))).toEqual([0, 0]);
  expect(await isDue(shop.stores, parametersOf(second))).toBe(false);
});

/** One at a time: VACUUM and CLUSTER want no transaction around them. What stands in one is sent as it is. */
function statementsOf(text = ''): string[] {
  if (text.startsWith('BEGIN')) {
    const [transaction = '', after = ''] = text.split('COMMIT;');
    return [`${transaction}COMMIT`, after].filter((statement) => statement.trim() !== '');
  }
  return text.split(';').filter((statement) => statement.trim() !== '');
}

test('what joined waits for the next sweep where sweeps are rare', async () => {
  await shop.stores.service.query(`${partitioned}; ${loose}; ${filled}`);
  await shop.stores.migration.query(plain);
  await sync();
  await shop.stores.service.query(attach);
  expect(readBy(await sync({ sweepSeconds: 3600 }))).toEqual([0, 0]);
  expect(readBy(await sync({ sweepSeconds: 3600 }))).toEqual([0, 0]);
  expect(readBy(await sync())).toEqual([0, 100]);
  await expectSame();
});
