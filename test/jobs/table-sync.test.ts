import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { beforeEach, expect, test } from 'vitest';
import { openTransaction, takeMoment } from '../../packages/keystride/src/stores/postgres/horizon.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { keystride } from '../cli/support.ts';
import { commitInRandomOrder, during } from '../support/late-writer.ts';
import { control, failureOf, reportOf, run, startVerification, stepOf, until } from '../support/runs.ts';
import { emptyShop, onBothSides, useShop } from '../support/shop.ts';

const shop = useShop({ ownServers: true });

/** Every schema that a test makes, on both sides. */
beforeEach(() => emptyShop(shop.stores));

let runs = 0;
const sync = (parameters: object) => run(shop.world, 'tableSync', { run: (runs += 1), ...parameters });

const refusal = async (parameters: object) =>
  failureOf(await shop.world.start('tableSync', { run: (runs += 1), ...parameters }));

const onBoth = (statement: string) => onBothSides(shop.stores, statement);

/** A table's rows as one hash, computed by the database that has them. */
async function hashOf(pool: pg.Pool, table: string, order = 'id'): Promise<string> {
  const { rows } = await pool.query<{ hash: string }>(
    `SELECT count(*) || ' rows ' || md5(coalesce(string_agg(each::text, E'\\n' ORDER BY ${order}), '')) AS hash
       FROM ${table} AS each`,
  );
  return rows[0]?.hash ?? '';
}

async function expectSame(table: string, sink = table, order = 'id'): Promise<void> {
  expect(await hashOf(shop.stores.migration, sink, order)).toBe(
    await hashOf(shop.stores.service, table, order),
  );
}

test('100,000 rows are copied in four partitions, and doing it again writes nothing', async () => {
  await onBoth(
    `CREATE TABLE shop.item (id bigint PRIMARY KEY, name text, price numeric, changed timestamptz)`,
  );
  await shop.stores.service.query(
    `INSERT INTO shop.item SELECT n * 3, 'item ' || n, n / 7.0, timestamptz '2025-01-01Z' + n * interval '1 microsecond'
       FROM generate_series(1, 100000) AS n`,
  );
  const report = await sync({ source: 'shop.item' });
  expect(stepOf(report, 'copy')).toMatchObject({
    read: 100_000,
    written: 100_000,
    partitions: { total: 4, done: 4 },
  });
  await expectSame('shop.item');
  const versions = () => hashOf(shop.stores.migration, '(SELECT id, xmin FROM shop.item)');
  const before = await versions();
  await sync({ source: 'shop.item' });
  expect(await versions()).toBe(before);
});

test('verify compares through the declared transforms, and its repair heals what differs', async () => {
  await shop.stores.service.query(`CREATE TABLE shop.person (
    part int NOT NULL, id bigint NOT NULL, email text, born timestamptz, amount text, PRIMARY KEY (part, id))`);
  await shop.stores.migration.query(`CREATE TABLE shop.member (
    part bigint NOT NULL, number bigint NOT NULL, email text, day date, amount numeric(10,2), PRIMARY KEY (part, number))`);
  await shop.stores.service.query(`INSERT INTO shop.person
    SELECT n % 3, n, 'a' || n || '@example.com', timestamptz '2001-02-03 12:30:00Z' + n * interval '1 minute', n || '.5'
      FROM generate_series(1, 3000) AS n`);
  const parameters = {
    ...{ source: 'shop.person', sink: 'shop.member', run: (runs += 1) },
    ...{ rename: ['id:number', 'born:day'], cast: ['born:date'], mask: ['email:hash'] },
  };
  await sync(parameters);
  const verified = async (repair: boolean): Promise<unknown> =>
    (await startVerification(shop.world, { job: 'tableSync', parameters, repair })).result();
  expect(await verified(false)).toMatchObject({ verified: true, compared: 3000, differences: 0 });
  const before = await hashOf(shop.stores.migration, 'shop.member', 'part, number');
  await shop.stores.migration.query(`
    DELETE FROM shop.member WHERE number IN (3, 1500);
    UPDATE shop.member SET amount = amount + 1 WHERE number = 1501;
    INSERT INTO shop.member (part, number) VALUES (1, 4000)`);
  const examples = ['key 0,1500: missing', 'key 0,3: missing', 'key 1,1501: different', 'key 1,4000: extra'];
  const found = (await verified(false)) as { examples: string[] };
  expect(found).toMatchObject({ verified: false, differences: 4 });
  expect(found.examples.toSorted()).toEqual(examples);
  expect(await verified(true)).toMatchObject({ verified: true, differences: 0, repaired: 4 });
  expect(await hashOf(shop.stores.migration, 'shop.member', 'part, number')).toBe(before);
});

test('every type arrives as it is', async () => {
  await onBoth(`
    CREATE TYPE shop.mood AS ENUM ('sad', 'a "quoted" one');
    CREATE TYPE shop.place AS (street text, number int);
    CREATE TABLE shop.everything (
      id uuid PRIMARY KEY, moment timestamptz, local timestamp, day date, span interval, big bigint, exact numeric,
      rounded numeric(10,2), real_one double precision, flag boolean, plain json, binary_json jsonb, bytes bytea,
      numbers int[], texts text[], deep text[][], mood shop.mood, place shop.place, short varchar(5), padded char(5),
      range tstzrange, address inet, point point, document xml, vector tsvector, nothing text)`);
  await shop.stores.service.query(`
    INSERT INTO shop.everything
    SELECT gen_random_uuid(), timestamptz '2025-01-01 00:00:00.123456Z' + n * interval '1 microsecond',
           '0044-03-15 12:00:00.000001 BC', 'infinity', '1 year 2 mons 3 days 04:05:06.789012',
           9007199254740993 + n, '123456789012345678901234567890.123456789000', 12345.60 + n, 0.1::float8 + 0.2::float8,
           n % 2 = 0, '{"b": 1,   "a": [1.00, "ü \\" \\\\"]}', '{"big": 123456789012345678901234567890.50, "nul": null}',
           decode('00ff5c22270a', 'hex'), ARRAY[1, NULL, 3], ARRAY['a,b', 'c"d', 'e\\f', '', 'NULL', NULL],
           '{{a,b},{c,"d e"}}', 'a "quoted" one', ROW('Main, "St"', n)::shop.place, 'ab' || n, 'ab',
           '[2025-01-01 00:00:00.000001Z,)', '10.0.0.1/24', '(1.5,2.25)', '<a b="c">&amp;</a>', 'fat:2 cat:3A', NULL
      FROM generate_series(1, 9) AS n`);
  expect(stepOf(await sync({ source: 'shop.everything' }), 'copy')).toMatchObject({ read: 9, written: 9 });
  await expectSame('shop.everything');
  const input = { job: 'tableSync', parameters: { source: 'shop.everything', run: runs } };
  expect(await (await startVerification(shop.world, input)).result()).toMatchObject({
    verified: true,
    compared: 9,
  });
  await sync({ source: 'shop.everything' });
  await expectSame('shop.everything');
});

test('a composite key of several types is paged, partitioned and swept like any other', async () => {
  await onBoth(
    `CREATE TABLE shop.line ("order" uuid, "lineNo" int, amount int, PRIMARY KEY ("order", "lineNo"))`,
  );
  await shop.stores.service.query(
    `INSERT INTO shop.line SELECT md5((n / 5)::text)::uuid, n % 5, n FROM generate_series(1, 5000) AS n`,
  );
  const parameters = { source: 'shop.line', mode: 'incrementing', partitions: 3 };
  expect(stepOf(await sync(parameters), 'copy')).toMatchObject({ read: 5000, partitions: { total: 3 } });
  await expectSame('shop.line', 'shop.line', '"order", "lineNo"');
  await shop.stores.service.query(
    `INSERT INTO shop.line SELECT md5('0')::uuid, n, n FROM generate_series(100, 200) AS n`,
  );
  const second = await sync(parameters);
  expect(stepOf(second, 'sweep').read + stepOf(second, 'copy').read).toBe(101);
  await expectSame('shop.line', 'shop.line', '"order", "lineNo"');
});

test('a partitioned table is one source', async () => {
  await onBoth(`
    CREATE TABLE shop.event (id bigint, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE shop.event_1 PARTITION OF shop.event FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
    CREATE TABLE shop.event_2 PARTITION OF shop.event FOR VALUES FROM ('2025-02-01') TO ('2025-03-01')`);
  await shop.stores.service.query(
    `INSERT INTO shop.event SELECT n, date '2025-01-01' + n % 59 FROM generate_series(1, 3000) AS n`,
  );
  await sync({ source: 'shop.event', mode: 'incrementing' });
  await shop.stores.service.query(`INSERT INTO shop.event VALUES (5, '2025-02-28'), (5000, '2025-01-02')`);
  const second = await sync({ source: 'shop.event', mode: 'incrementing' });
  expect([stepOf(second, 'copy').read, stepOf(second, 'sweep').read]).toEqual([1, 1]);
  await expectSame('shop.event', 'shop.event', 'id, day');
});

test.for([
  ['an unknown table', { source: 'shop.nothing' }, /no table shop\.nothing/u],
  ['an injection', { source: 'shop.a; DROP TABLE shop.a' }, /source/u],
  ['an unknown column', { source: 'shop.a', columns: ['id', 'nope'] }, /no column nope; it has: id, name/u],
  [
    'a column that the sink lacks',
    { source: 'shop.a', rename: ['name:title'] },
    /shop\.a has no column title/u,
  ],
  ['a key that is not unique', { source: 'shop.a', key: ['name'] }, /\(name\) is no unique key/u],
  ['a masked key', { source: 'shop.a', mask: ['id:hash'] }, /key cannot be masked/u],
  ['an unknown mask', { source: 'shop.a', mask: ['name:rot13'] }, /no mask/u],
  ['an unknown type', { source: 'shop.a', cast: ['name:nonsense'] }, /no type/u],
  ['a dropped key', { source: 'shop.a', drop: ['id'] }, /of the key/u],
  ['a timestamp mode without a column', { source: 'shop.a', mode: 'timestamp' }, /timestamp column/u],
  ['a nullable timestamp', { source: 'shop.a', mode: 'timestamp', timestamp: 'seen' }, /may be null/u],
] as const)('%s is refused before anything is written', async ([, parameters, message]) => {
  await onBoth('CREATE TABLE shop.a (id int PRIMARY KEY, name text, seen timestamptz)');
  await shop.stores.service.query(`INSERT INTO shop.a VALUES (1, 'one')`);
  expect((await refusal(parameters)).message).toMatch(message);
  expect((await shop.stores.migration.query('SELECT FROM shop.a')).rowCount).toBe(0);
});

const documents = `
  CREATE TABLE shop.document (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, ticket_key text UNIQUE, document_name text,
    updated_at timestamptz NOT NULL DEFAULT now());
  CREATE INDEX ON shop.document (updated_at, id)`;

test('1,000 transactions that commit in random order lose no row in any mode', async () => {
  await shop.stores.service.query(documents);
  await shop.stores.service.query(
    `INSERT INTO shop.document (ticket_key) SELECT 'T-' || n FROM generate_series(1, 400) AS n`,
  );
  const modes = ['bulk', 'incrementing', 'timestamp', 'timestamp+incrementing'];
  const sinkOf = (mode: string) => `shop.${mode.replace('+', '_')}`;
  for (const mode of modes)
    await shop.stores.migration.query(
      `CREATE TABLE ${sinkOf(mode)} (id bigint PRIMARY KEY, ticket_key text, document_name text, updated_at timestamptz)`,
    );
  const parameters = { source: 'shop.document', timestamp: 'updated_at', partitions: 1 };
  const syncAll = async () => {
    await Promise.all(modes.map((mode) => sync({ ...parameters, sink: sinkOf(mode), mode })));
  };
  const writing = commitInRandomOrder({
    databaseUrl: shop.world.sourceDatabaseUrl,
    table: 'shop.document',
    transactions: 1000,
    connections: 12,
    held: 6,
  });
  await during(writing, syncAll);
  await syncAll();
  for (const mode of modes) await expectSame('shop.document', sinkOf(mode));
});

test('a role that may only read the table is enough in the source, and is told of what it may see', async () => {
  const role = `reader_${randomUUID().replaceAll('-', '')}`;
  await shop.stores.service
    .query(`CREATE ROLE ${role} LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA shop TO ${role};
    ${documents}; GRANT SELECT ON shop.document TO ${role}`);
  const url = new URL(shop.world.sourceDatabaseUrl);
  url.username = role;
  url.password = 'reader';
  const reader = createPool(url.href, 'keystride test', 1);
  const writer = await shop.stores.service.connect();
  try {
    await writer.query('BEGIN');
    await writer.query(`INSERT INTO shop.document (ticket_key) VALUES ('open')`);
    const { rows } = await writer.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const moment = await takeMoment(reader, 'shop.document');
    expect(moment.place).toMatch(/^\d+\/\d+\/\d+\/\d+$/u);
    expect(await openTransaction(reader, moment)).toMatchObject({ processId: rows[0]?.pid, seconds: null });
    await writer.query('COMMIT');
  } finally {
    writer.release();
    await reader.end();
    await shop.stores.service.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

test('a stream is listed with its lag, and rewound: by key, by time, to the start', async () => {
  await shop.stores.service.query(documents);
  const add = (from: number, to: number) =>
    shop.stores.service.query(
      `INSERT INTO shop.document (ticket_key, updated_at)
       SELECT 'T-' || n, timestamptz '2025-01-01Z' + n * interval '1 day' FROM generate_series($1::int, $2::int) AS n`,
      [from, to],
    );
  await shop.stores.migration.query(documents);
  await add(1, 100);
  const byKey = { source: 'shop.document', mode: 'incrementing', partitions: 1 };
  const byTime = { ...byKey, mode: 'timestamp', timestamp: 'updated_at' };
  await sync(byKey);
  await sync(byTime);
  await add(101, 130);
  const cli = async (...words: string[]) =>
    (await keystride(['sync', ...words, '-o', 'json'], shop.world.environment)).json();
  const key = 'tableSync:shop.document>shop.document:id';
  const time = 'tableSync:shop.document>shop.document:updated_at,id';
  expect(await cli('list')).toMatchObject({
    streams: [
      { stream: key, cursor: ['100'], table: 'shop.document', key: ['id'], lag: { rowsAbove: 30 } },
      { stream: time, lag: { rowsAbove: 30 } },
    ],
  });
  expect(await cli('rewind', key, '--from', '91')).toEqual({ stream: key, before: ['100'], cursor: ['90'] });
  expect(stepOf(await sync(byKey), 'copy').read).toBe(40);
  await add(131, 140);
  expect(await cli('rewind', key, '--from', '140')).toMatchObject({ error: { type: 'RewindRefused' } });
  expect(await cli('rewind', time, '--from', '2025-01-11Z')).toMatchObject({ stream: time });
  expect(stepOf(await sync(byTime), 'copy').read).toBe(131);
  expect(await cli('rewind', time, '--to-start')).toMatchObject({ cursor: null });
  expect(stepOf(await sync(byTime), 'copy').read).toBe(140);
  expect(await cli('rewind', 'nothing', '--to-start')).toMatchObject({ error: { type: 'NotFound' } });
  await expectSame('shop.document');
});

test('a stream that is broken hides no other, and is forgotten', async () => {
  const tables = ['gone', 'closed', 'fine'];
  for (const table of tables) {
    await onBoth(`CREATE TABLE shop.${table} (id int PRIMARY KEY)`);
    await shop.stores.service.query(`INSERT INTO shop.${table} VALUES (1)`);
    await sync({ source: `shop.${table}`, mode: 'incrementing' });
  }
  const role = `lister_${randomUUID().replaceAll('-', '')}`;
  await shop.stores.service.query(`DROP TABLE shop.gone; CREATE ROLE ${role} LOGIN PASSWORD 'reader';
    GRANT USAGE ON SCHEMA shop TO ${role}; GRANT SELECT ON shop.fine TO ${role}`);
  const url = new URL(shop.world.sourceDatabaseUrl);
  url.username = role;
  url.password = 'reader';
  const streamOf = (table: string) => `tableSync:shop.${table}>shop.${table}:id`;
  const cli = (words: string[], environment: object = {}) =>
    keystride(['sync', ...words], { ...shop.world.environment, ...environment });
  const listed = await cli(['list', '-o', 'json'], { SOURCE_DATABASE_URL: url.href });
  expect(listed.exitCode).toBe(0);
  expect(listed.json()).toMatchObject({
    streams: [
      {
        stream: streamOf('closed'),
        cursor: ['1'],
        lag: null,
        problem: expect.stringMatching(/may not read/u),
      },
      { stream: streamOf('fine'), lag: { rowsAbove: 0 }, problem: null },
      {
        stream: streamOf('gone'),
        cursor: ['1'],
        lag: null,
        problem: expect.stringMatching(/no table shop\.gone/u),
      },
    ],
  });
  const away = await cli(['list'], { SOURCE_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' });
  expect(away.stdout).toMatch(/shop\.fine:id +1 +unknown/u);
  expect(away.stdout).toMatch(/does not answer/u);
  expect((await cli(['forget', streamOf('gone'), '-o', 'json'])).json()).toMatchObject({
    stream: streamOf('gone'),
    forgotten: { cursor: ['1'], table: 'shop.gone' },
  });
  expect((await cli(['forget', streamOf('gone'), '-o', 'json'])).json()).toMatchObject({
    error: { type: 'NotFound' },
  });
  const polling = { source: 'shop.fine', mode: 'incrementing', poll: 'continuous', pollSeconds: 60 };
  const handle = await shop.world.start('tableSync', polling);
  await until(shop.world, handle.workflowId, 'running');
  const refused = await cli(['forget', streamOf('fine'), '-o', 'json']);
  expect(refused.json()).toMatchObject({ error: { type: 'JobExecutionAlreadyRunning' } });
  await control(handle, 'stop');
  await reportOf(handle);
  expect((await cli(['forget', streamOf('fine')])).stdout).toMatch(/forgotten, at 1 in shop\.fine/u);
  await shop.stores.service.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
});
