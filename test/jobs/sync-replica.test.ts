import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { type Stack, startStack } from '../../packages/keystride/src/dev/stack.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { Way } from '../support/failover.ts';
import { openStores, type Stores } from '../support/migration.ts';
import { type Replica, startReplica } from '../support/replica.ts';
import { failureOf, reportOf, run, startVerification } from '../support/runs.ts';
import { emptyShop, onBothSides, plain, readBy, rowsOf, toldBy } from '../support/shop.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

/** A source that is read on a streaming replica, which may be behind. */

let home: string;
let stack: Stack<'postgres'>;
let replica: Replica;
let way: Way;
let standby: pg.Pool;
let world: World;
let stores: Stores;

beforeAll(async () => {
  const { cache } = inject('keystride');
  home = mkdtempSync(path.join(tmpdir(), 'keystride-replica-'));
  chmodSync(home, 0o711);
  stack = await startStack({ home, cache, parts: ['postgres'], environment: {} });
  replica = await startReplica(stack.info.databaseUrl, cache, stack.ownership, [
    'max_standby_streaming_delay=0',
  ]);
  standby = createPool(replica.url, 'keystride test', 2);
  way = await Way.to(replica.url);
  world = await createWorld();
  const { databaseUrl, mongodbUrl } = world;
  stores = openStores({ databaseUrl, mongodbUrl, sourceDatabaseUrl: stack.info.databaseUrl });
  await world.startWorker({ environment: { SOURCE_DATABASE_URL: way.urlOf(stack.info.databaseUrl) } });
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
  way?.close();
  await standby?.end();
  await replica?.stop();
  await stack?.stop();
  rmSync(home, { recursive: true, force: true });
});

let runs = 0;
const parameters = () => ({ source: 'shop.k', mode: 'incrementing', partitions: 1, run: (runs += 1) });

const skippedBy = ({ instance, steps }: JobProgress) => ({
  instance,
  skipped: steps.find(({ step }) => step === 'copy')?.skipped,
});

const lead = (url: string) => {
  way.cut();
  way.leadTo(url);
};

beforeEach(async () => {
  await standby.query('SELECT pg_wal_replay_resume()');
  await emptyShop(stores);
  await onBothSides(stores, plain);
  await caughtUp();
  lead(replica.url);
});

const caughtUp = () =>
  waitFor(async () => {
    const { rows } = await stores.service.query<{ up: boolean }>(
      'SELECT replay_lsn = pg_current_wal_flush_lsn() AS up FROM pg_stat_replication',
    );
    return rows[0]?.up === true;
  });

test('a sync that reads a replica finds what commits late there', async () => {
  const late = await stores.service.connect();
  await late.query(`BEGIN; INSERT INTO shop.k VALUES (1, 'late')`);
  await stores.service.query(`INSERT INTO shop.k SELECT n, 'n' FROM generate_series(2, 100) AS n`);
  await caughtUp();
  expect(readBy(await run(world, 'tableSync', parameters()))).toEqual([99, 0]);
  await late.query('COMMIT');
  late.release();
  await caughtUp();
  const second = await run(world, 'tableSync', parameters());
  expect(readBy(second)[0]).toBe(0);
  expect(await rowsOf(stores.migration)).toEqual(await rowsOf(stores.service));
  expect(readBy(await run(world, 'tableSync', parameters()))).toEqual([0, 0]);
});

/** A run has read the primary when its replica was behind; what reads the replica next shows older rows. */
async function readAhead() {
  lead(stack.info.databaseUrl);
  await stores.service.query(`INSERT INTO shop.k SELECT n, 'old' FROM generate_series(1, 100) AS n`);
  await caughtUp();
  await standby.query('SELECT pg_wal_replay_pause()');
  const given = parameters();
  await stores.service.query(
    `UPDATE shop.k SET note = 'new' WHERE id <= 3; INSERT INTO shop.k VALUES (200, 'new')`,
  );
  await run(world, 'tableSync', given);
  lead(replica.url);
  return { given, rows: await rowsOf(stores.migration) };
}

test('a repair from a standby is refused: it would write older values, and remove what is not replayed', async () => {
  const { given, rows } = await readAhead();
  const handle = await startVerification(world, { job: 'tableSync', parameters: given, repair: true });
  expect(await failureOf(handle)).toMatchObject({
    type: 'RepairRefused',
    message: expect.stringMatching(/the source is a standby.*Repair from its primary/u) as string,
  });
  expect(await rowsOf(stores.migration)).toEqual(rows);
});

const toldBehind = (handle: WorkflowHandle, told = 'a standby that has not replayed yet what was read') =>
  waitFor(async () => {
    const { pendingActivities } = (await handle.describe()).raw;
    return pendingActivities?.some(({ lastFailure }) => lastFailure?.message?.includes(told));
  });

test.for(['incrementing', 'bulk'])(
  'a run in mode %s waits for a standby that is behind what was read before',
  async (mode) => {
    const { rows } = await readAhead();
    const handle = await world.start('tableSync', { ...parameters(), mode });
    await toldBehind(handle);
    expect(await rowsOf(stores.migration)).toEqual(rows);
    await standby.query('SELECT pg_wal_replay_resume()');
    expect(toldBy(await reportOf(handle)).join()).not.toContain('copied again');
    expect(await rowsOf(stores.migration)).toEqual(rows);
  },
);

const begun = (handle: WorkflowHandle) =>
  waitFor(async () =>
    (await world.progress(handle.workflowId)).steps.some(
      ({ step, status }) => step === 'begin' && status === 'completed',
    ),
  );

test('a run that goes on at a standby which is behind its beginning waits too', async () => {
  lead(stack.info.databaseUrl);
  await stores.service.query(`INSERT INTO shop.k SELECT n, 'old' FROM generate_series(1, 100) AS n`);
  await caughtUp();
  await standby.query('SELECT pg_wal_replay_pause()');
  await stores.service.query(`INSERT INTO shop.k VALUES (0, 'new')`);
  const sink = await stores.migration.connect();
  await sink.query('BEGIN; LOCK TABLE shop.k');
  const handle = await world.start('tableSync', parameters());
  await begun(handle);
  lead(replica.url);
  await sink.query('ROLLBACK');
  sink.release();
  await toldBehind(handle);
  await standby.query('SELECT pg_wal_replay_resume()');
  await reportOf(handle);
  expect(await rowsOf(stores.migration)).toEqual(await rowsOf(stores.service));
});

/** Rows whose note is `bad` are refused by the sink: known failures, which are set aside. */
const refuseBad = () =>
  stores.migration.query(`ALTER TABLE shop.k ADD CONSTRAINT good CHECK (note <> 'bad')`);

const allowBad = () => stores.migration.query('ALTER TABLE shop.k DROP CONSTRAINT good');

const redrive = (instance: string | null) => world.start('redrive', { instance });

test('a redrive from a standby does not write an older row over what a later run has copied', async () => {
  await refuseBad();
  lead(stack.info.databaseUrl);
  await stores.service.query(`INSERT INTO shop.k VALUES (1, 'bad')`);
  const { instance, skipped } = skippedBy(await run(world, 'tableSync', parameters()));
  expect(skipped).toBe(1);
  await caughtUp();
  await standby.query('SELECT pg_wal_replay_pause()');
  await stores.service.query(`UPDATE shop.k SET note = 'good'`);
  await run(world, 'tableSync', parameters());
  await allowBad();
  lead(replica.url);
  const handle = await redrive(instance);
  await toldBehind(handle);
  expect(await rowsOf(stores.migration)).toEqual(await rowsOf(stores.service));
  await standby.query('SELECT pg_wal_replay_resume()');
  await reportOf(handle);
  expect(await rowsOf(stores.migration)).toEqual(await rowsOf(stores.service));
});

test('nor does it take a row of before its skip for the one that was skipped', async () => {
  await refuseBad();
  lead(stack.info.databaseUrl);
  await stores.service.query(`INSERT INTO shop.k VALUES (1, 'of before')`);
  await caughtUp();
  // A run that has begun reads nothing of it until it is bad, and the standby has it as it was.
  const source = await stores.service.connect();
  await source.query('BEGIN; LOCK TABLE shop.k');
  const first = await world.start('tableSync', parameters());
  await begun(first);
  await standby.query('SELECT pg_wal_replay_pause()');
  await source.query(`UPDATE shop.k SET note = 'bad'; COMMIT`);
  source.release();
  const { instance, skipped } = skippedBy(await reportOf(first));
  expect(skipped).toBe(1);
  // What the stream remembers is one guard, what each skip does is another.
  await stores.migration.query('DELETE FROM keystride.stream_offset');
  await allowBad();
  lead(replica.url);
  const handle = await redrive(instance);
  await toldBehind(handle, 'what was read when these items were skipped');
  expect(await rowsOf(stores.migration)).toEqual([]);
  await standby.query('SELECT pg_wal_replay_resume()');
  await reportOf(handle);
  expect(await rowsOf(stores.migration)).toEqual(await rowsOf(stores.service));
});

test('a skip of which nobody knows how far its source was is redriven from a primary alone', async () => {
  await refuseBad();
  await stores.service.query(`INSERT INTO shop.k VALUES (1, 'bad')`);
  await caughtUp();
  const { instance } = skippedBy(await run(world, 'tableSync', parameters()));
  await allowBad();
  await stores.migration.query('UPDATE keystride.skip SET read_up_to = NULL');
  expect(await failureOf(await redrive(instance))).toMatchObject({
    message: expect.stringMatching(/RedriveRefused: the source is a standby.*lead to its primary/u) as string,
  });
  expect(await rowsOf(stores.migration)).toEqual([]);
  lead(stack.info.databaseUrl);
  await reportOf(await redrive(instance));
  expect(await rowsOf(stores.migration)).toEqual(await rowsOf(stores.service));
});
