import { beforeEach, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { logSyncs } from '../support/log-syncs.ts';
import { control, failureOf, stepOf, until } from '../support/runs.ts';
import { rowsOf, toldBy, useShop } from '../support/shop.ts';
import { waitFor } from '../support/stack.ts';

/** What cannot be followed in the log, or not any more: it is refused, or copied again. */

const shop = useShop({ ownServers: true });

const { empty, dropSlots, expectSame, freeSlots, onBoth, parametersOf, refusal, sync } = logSyncs(() => shop);

beforeEach(empty);

test('a slot that is gone, and a sink that was restored, are copied again, and what has left the source leaves', async () => {
  await onBoth('CREATE TABLE shop.k (id bigint PRIMARY KEY)');
  await shop.stores.service.query('INSERT INTO shop.k SELECT generate_series(1, 100)');
  const first = await sync();
  expect(stepOf(first, 'begin').result).toMatchObject({ told: [] });
  await dropSlots();
  await shop.stores.service.query('DELETE FROM shop.k WHERE id <= 10');
  const second = await sync();
  expect(stepOf(second, 'begin').result).toMatchObject({
    told: [expect.stringMatching(/slot keystride_\w+ is gone: everything is copied again/)],
  });
  expect(stepOf(second, 'sweep').written).toBe(10);
  await expectSame();
  await shop.stores.service.query('INSERT INTO shop.k VALUES (1000)');
  await freeSlots();
  await shop.stores.service.query(
    'SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) FROM pg_replication_slots',
  );
  const third = await sync();
  expect(stepOf(third, 'begin').result).toMatchObject({
    told: [expect.stringMatching(/the sink was restored, or somebody has moved the slot/)],
  });
  await expectSame();
});

test.for<[string, { source?: string; sink?: string; parameters?: object; told: RegExp }]>([
  [
    'no replica identity',
    {
      source: 'ALTER TABLE shop.k REPLICA IDENTITY NOTHING',
      told: /ALTER TABLE "shop"."k" REPLICA IDENTITY DEFAULT/,
    },
  ],
  [
    'another key than the log tells',
    {
      source: 'ALTER TABLE shop.k ADD UNIQUE (code)',
      sink: 'ALTER TABLE shop.k ADD UNIQUE (code)',
      parameters: { key: ['code'] },
      told: /REPLICA IDENTITY FULL/,
    },
  ],
  [
    'an unlogged source',
    { source: 'ALTER TABLE shop.k SET UNLOGGED', told: /ALTER TABLE "shop"."k" SET LOGGED/ },
  ],
  [
    'a partition whose log does not say which row is changed',
    {
      source: `DROP TABLE shop.k; CREATE TABLE shop.k (id int PRIMARY KEY, code int NOT NULL, note text)
        PARTITION BY RANGE (id); CREATE TABLE shop.k1 PARTITION OF shop.k DEFAULT;
        ALTER TABLE shop.k1 REPLICA IDENTITY NOTHING`,
      told: /ALTER TABLE "shop"."k1" REPLICA IDENTITY DEFAULT/,
    },
  ],
  [
    'a partition beside its table',
    {
      source: `DROP TABLE shop.k; CREATE TABLE shop.k (id int PRIMARY KEY, code int NOT NULL, note text)
        PARTITION BY RANGE (id); CREATE TABLE shop.k1 PARTITION OF shop.k DEFAULT`,
      sink: 'CREATE TABLE shop.k1 (LIKE shop.k INCLUDING ALL)',
      parameters: { tables: ['shop.k', 'shop.k1'] },
      told: /shop.k1 is a partition of shop.k, or the same, and is followed with it/,
    },
  ],
  ['a mask', { parameters: { mask: ['note:hash'] }, told: /cannot mask those of shop.k there/ }],
  [
    'a column that the source computes',
    {
      source:
        'ALTER TABLE shop.k DROP COLUMN note; ALTER TABLE shop.k ADD COLUMN note text GENERATED ALWAYS AS (code::text) STORED',
      told: /leave it out by drop=note/,
    },
  ],
  [
    'a source that another table inherits from',
    {
      source: 'CREATE TABLE shop.heir () INHERITS (shop.k)',
      told: /does not hold over the tables that inherit from this one/,
    },
  ],
  [
    'a sink that deletes by itself',
    {
      sink: 'ALTER TABLE shop.k ADD FOREIGN KEY (code) REFERENCES shop.k (id) ON DELETE CASCADE',
      told: /DROP CONSTRAINT k_code_fkey/,
    },
  ],
])('%s is refused by name', async ([, { source = '', sink = '', parameters, told }]) => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, code int NOT NULL, note text)');
  await shop.stores.service.query(source);
  await shop.stores.migration.query(sink);
  expect(await refusal(parameters)).toMatch(told);
  expect(await rowsOf(shop.stores.service, 'pg_replication_slots')).toEqual([]);
});

test('sync list tells how much log the source keeps for a stream, and of slots that no stream has', async () => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY)');
  await sync();
  await shop.stores.service.query(
    `SELECT pg_create_logical_replication_slot('keystride_left_behind', 'pgoutput')`,
  );
  const listed = await keystride(['sync', 'list'], shop.world.environment);
  expect(listed.stdout).toMatch(
    /shop.k>shop.k:log: at [0-9A-F]+\/[0-9A-F]+; \d+ kB of log behind; moved .* ago; the source keeps \d+ MB of log for it, without a limit: set max_slot_wal_keep_size there; since the copy 0 inserted, 0 updated, 0 deleted, 0 truncated/,
  );
  expect(listed.stdout).toMatch(
    /slot keystride_left_behind is of no stream of this ledger: .* SELECT pg_drop_replication_slot\('keystride_left/,
  );
  const json: unknown = (await keystride(['sync', 'list', '-o', 'json'], shop.world.environment)).json();
  expect(json).toMatchObject({
    streams: [{ lag: { bytesBehind: expect.any(Number), kept: { keptBytes: expect.any(Number) } } }],
    slotsLeft: [{ slot: 'keystride_left_behind', active: false }],
  });
});

test('what is altered in the source and leaves no mark in its log ends a run by name, and is copied again', async () => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, note text)');
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (1, 'one')`);
  await sync();
  const { rows } = await shop.stores.service.query<{ name: string }>(
    'SELECT pubname AS name FROM pg_publication',
  );
  const [{ name } = { name: '' }] = rows;
  // What is written meanwhile is nowhere to be found.
  const alterations = [
    `ALTER PUBLICATION ${name} DROP TABLE shop.k; INSERT INTO shop.k VALUES (2, 'two');
     ALTER PUBLICATION ${name} ADD TABLE shop.k`,
    `ALTER TABLE shop.k ALTER note TYPE varchar USING 'x' || note`,
    `ALTER TABLE shop.k DROP note; ALTER TABLE shop.k ADD note varchar`,
    `ALTER TABLE shop.k ALTER note TYPE varchar USING 'rewritten'`,
  ];
  for (const altered of alterations) {
    await shop.stores.service.query(altered);
    expect(stepOf(await sync(), 'begin').result).toMatchObject({
      told: [
        expect.stringMatching(
          /(publication .* was altered|name of two of its columns|rows were rewritten).*: everything is copied/,
        ),
      ],
    });
    await expectSame();
  }
  const handle = await shop.world.start('tableSync', parametersOf({ poll: 'continuous' }));
  await until(shop.world, handle.workflowId, 'running');
  await shop.stores.service.query('INSERT INTO shop.k VALUES (3)');
  await waitFor(async () => (await rowsOf(shop.stores.migration)).length === 3, { what: 'the row' });
  await shop.stores.service.query(`DROP PUBLICATION ${name}; CREATE PUBLICATION ${name} FOR TABLE shop.k`);
  expect((await failureOf(handle)).message).toMatch(
    /cannot go on: the publication \w+ was altered or made anew/,
  );
});

test('what rewrites a table, or alters a column, and changes no value is followed on', async () => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, note text)');
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (1, 'one')`);
  await sync();
  for (const harmless of [
    'VACUUM FULL shop.k',
    `ALTER TABLE shop.k ALTER note SET DEFAULT ''`,
    'CLUSTER shop.k USING k_pkey',
    'TRUNCATE shop.k',
    'ALTER TABLE shop.k ALTER note SET NOT NULL',
  ]) {
    await shop.stores.service.query(harmless);
    expect([harmless, stepOf(await sync(), 'begin').result]).toMatchObject([harmless, { told: [] }]);
    await expectSame();
  }
});

test('a slot that the source gives up while the run is paused is named, and all is copied again', async () => {
  const { service } = shop.stores;
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY)');
  const handle = await shop.world.start('tableSync', parametersOf({ poll: 'continuous' }));
  await until(shop.world, handle.workflowId, 'running');
  await service.query('INSERT INTO shop.k VALUES (1)');
  await waitFor(async () => (await rowsOf(shop.stores.migration)).length === 1, { what: 'the row' });
  await control(handle, 'pause', 'a long weekend');
  await until(shop.world, handle.workflowId, 'paused');
  await freeSlots();
  await service.query(`ALTER SYSTEM SET idle_replication_slot_timeout = '1s'`);
  await service.query('SELECT pg_reload_conf()');
  await waitFor(
    async () => {
      await service.query('CHECKPOINT');
      const { rows } = await service.query<{ reason: string | null }>(
        'SELECT invalidation_reason AS reason FROM pg_replication_slots',
      );
      return rows[0]?.reason === 'idle_timeout';
    },
    { what: 'the slot to be given up' },
  );
  await service.query('ALTER SYSTEM RESET idle_replication_slot_timeout');
  await service.query('SELECT pg_reload_conf()');
  const givenUp = /given up the replication slot keystride_\w+, .*\(idle_replication_slot_timeout\)/;
  expect((await keystride(['sync', 'list'], shop.world.environment)).stdout).toMatch(givenUp);
  await service.query('INSERT INTO shop.k VALUES (2)');
  await control(handle, 'resume');
  expect((await failureOf(handle)).message).toMatch(givenUp);
  expect(toldBy(await sync())).toEqual([expect.stringMatching(givenUp)]);
  await expectSame();
});

test('a copy of the ledger leaves the slot of the original alone', async () => {
  const { migration, service } = shop.stores;
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY)');
  await sync();
  await freeSlots();
  await service.query('INSERT INTO shop.k VALUES (1)');
  const slots = () =>
    rowsOf(
      service,
      '(SELECT slot_name, confirmed_flush_lsn, pubname FROM pg_replication_slots LEFT JOIN pg_publication ON pubname = slot_name)',
    );
  const before = await slots();
  // As it is found where the database was restored on another server.
  const moved = `UPDATE keystride.stream_offset
    SET shape = jsonb_set(shape, '{log,home}', to_jsonb(regexp_replace(shape #>> '{log,home}', '/\\d+/', '/1/')))`;
  await migration.query(moved);
  const told = await refusal();
  expect(told).toMatch(/the ledger is a copy, or was moved: .* was followed from server and database 1\/\d+/);
  const forgotten = await keystride(
    ['sync', 'forget', 'tableSync:shop.k>shop.k:log'],
    shop.world.environment,
  );
  expect([forgotten.exitCode, forgotten.stderr]).toEqual([1, expect.stringContaining('is left alone')]);
  expect(await slots()).toEqual(before);
  const statement = (of: RegExp) => of.exec(told)?.[0] ?? '';
  await migration.query(statement(/UPDATE keystride.stream_offset .* WHERE stream = '[^']+'/u));
  expect(stepOf(await sync(), 'copy').read).toBe(0);
  await freeSlots();
  const [original] = await slots();
  await migration.query(moved);
  await migration.query(statement(/UPDATE keystride.ledger SET id = [\w()]+/u));
  expect(toldBy(await sync())).toEqual([
    'the ledger is another one than that which has made the slot: everything is copied again',
  ]);
  await expectSame();
  expect(await slots()).toHaveLength(2);
  expect(await slots()).toContain(original);
});

/** A table with partitions, one of them with partitions of its own, whose copy is a plain one. */
async function dividedSource(): Promise<void> {
  const columns = 'id int, month int, note text, PRIMARY KEY (id, month)';
  await shop.stores.migration.query(`CREATE TABLE shop.k (${columns})`);
  await shop.stores.service.query(`CREATE TABLE shop.k (${columns}) PARTITION BY LIST (month);
    CREATE TABLE shop.k1 PARTITION OF shop.k FOR VALUES IN (1);
    CREATE TABLE shop.k2 PARTITION OF shop.k FOR VALUES IN (2, 3) PARTITION BY LIST (month);
    CREATE TABLE shop.k2a PARTITION OF shop.k2 FOR VALUES IN (2);
    INSERT INTO shop.k SELECT n, n % 2 + 1, 'note ' || n FROM generate_series(1, 100) AS n`);
}

test('a partitioned source is copied and followed as one table, and so is what is written to new partitions', async () => {
  await dividedSource();
  expect(stepOf(await sync({ tables: ['shop.*'] }), 'copy').read).toBe(100);
  await expectSame();
  for (const harmless of [
    `UPDATE shop.k SET month = 3 - month WHERE id <= 10; DELETE FROM shop.k WHERE id = 20;
     UPDATE shop.k SET id = id + 1000 WHERE id BETWEEN 30 AND 35`,
    `CREATE TABLE shop.k2b PARTITION OF shop.k2 FOR VALUES IN (3); INSERT INTO shop.k VALUES (300, 2), (302, 1)`,
    `INSERT INTO shop.k VALUES (301, 3)`,
    `CREATE TABLE shop.k4 (LIKE shop.k INCLUDING ALL); ALTER TABLE shop.k ATTACH PARTITION shop.k4 FOR VALUES IN (4)`,
    `INSERT INTO shop.k VALUES (400, 4)`,
    'VACUUM FULL shop.k1',
    `ALTER TABLE shop.k ADD more int`,
  ]) {
    await shop.stores.service.query(harmless);
    if (harmless.includes('ADD more')) await shop.stores.migration.query(harmless);
    expect([harmless, stepOf(await sync({ tables: ['shop.*'] }), 'begin').result]).toMatchObject([
      harmless,
      { told: [] },
    ]);
    await expectSame();
  }
});

test('rows that come with a partition, or leave with one, are named, and all is copied again', async () => {
  await dividedSource();
  await sync();
  await shop.stores.service
    .query(`CREATE TABLE shop.k4 (LIKE shop.k INCLUDING ALL); INSERT INTO shop.k4 VALUES (400, 4);
      ALTER TABLE shop.k ATTACH PARTITION shop.k4 FOR VALUES IN (4)`);
  const parameters = parametersOf({ poll: 'continuous' });
  const handle = await shop.world.start('tableSync', parameters);
  await until(shop.world, handle.workflowId, 'running');
  await shop.stores.service.query('INSERT INTO shop.k VALUES (1001, 1)');
  await waitFor(async () => (await rowsOf(shop.stores.migration)).some((row) => row.includes('1001')), {
    what: 'the row',
  });
  await expectSame();
  expect(toldBy(await shop.world.progress(handle.workflowId))).toEqual([
    expect.stringMatching(
      /shop.k was altered: partition shop.k4 was attached, with rows .*: everything is copied/,
    ),
  ]);
  await shop.stores.service.query('TRUNCATE shop.k4');
  expect((await failureOf(handle)).message).toMatch(/cannot go on: .*partition shop.k4 was truncated/);
});
