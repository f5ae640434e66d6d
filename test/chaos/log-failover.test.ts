import type { WorkflowHandle } from '@temporalio/client';
import type pg from 'pg';
import { afterEach, expect, inject, test } from 'vitest';
import { Guard } from '../../packages/keystride/src/dev/guard.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { Way } from '../support/failover.ts';
import { startReplica } from '../support/replica.ts';
import { control, failureOf, reportOf, run, stepOf } from '../support/runs.ts';
import { rowsOf } from '../support/shop.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

/** A source that is followed in its log, and fails over to a standby that keeps its replication slots. */

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

interface Following {
  readonly world: World;
  readonly handle: WorkflowHandle;
  readonly sink: pg.Pool;
  readonly primary: pg.Pool;
  readonly standby: pg.Pool;
  /** Ends the way by which the standby hears of commits. */
  cutReplication(): void;
  /** The primary dies, and the standby takes its place. */
  failOver(): Promise<void>;
}

const parameters = { source: 'public.k', mode: 'log' };

/** A table that is followed, and a standby of its source that has the slot. */
async function following(): Promise<Following> {
  const source = await createWorld({ ownServers: true });
  ends.push(() => source.dispose());
  const world = await createWorld();
  ends.push(() => world.dispose());
  const poolOf = (url: string) => {
    const pool = createPool(url, 'a test', 2);
    pool.on('error', () => undefined);
    ends.push(() => pool.end());
    return pool;
  };
  const [primary, sink] = [poolOf(source.sourceDatabaseUrl), poolOf(world.databaseUrl)];
  for (const pool of [primary, sink]) await pool.query('CREATE TABLE public.k (id int PRIMARY KEY)');
  await primary.query('INSERT INTO public.k SELECT generate_series(1, 100)');
  await primary.query(`SELECT pg_create_physical_replication_slot('standby')`);
  const [toSource, toPrimary] = [await Way.to(source.sourceDatabaseUrl), await Way.to(source.databaseUrl)];
  ends.push(
    () => toSource.close(),
    () => toPrimary.close(),
  );
  const guard = new Guard();
  ends.push(() => guard.close());
  const replica = await startStandby(new URL(toPrimary.urlOf(source.sourceDatabaseUrl)), guard);
  ends.push(() => replica.stop());
  const worker = await world.startWorker({
    environment: { SOURCE_DATABASE_URL: toSource.urlOf(source.sourceDatabaseUrl) },
  });
  ends.push(() => worker.kill());
  const standby = poolOf(replica.url);
  const handle = await world.start('tableSync', { ...parameters, poll: 'continuous' });
  await waitFor(async () => (await rowsOf(sink, 'public.k')).length === 100, { what: 'the copy' });
  // The standby looks every half minute at most. The slot stays when that of the primary has moved to where it began.
  await waitFor(
    async () => {
      await primary.query('SELECT pg_log_standby_snapshot()');
      const { rows } = await standby.query('SELECT FROM pg_replication_slots WHERE synced AND NOT temporary');
      return rows.length === 1;
    },
    { what: 'the slot to be on the standby', everyMs: 3_000, timeoutMs: 180_000 },
  );
  return {
    ...{ world, handle, sink, primary, standby },
    cutReplication: () => toPrimary.cut(),
    failOver: async () => {
      toPrimary.cut();
      await source.servers.postgres.kill();
      await standby.query('SELECT pg_promote(true, 30)');
      toSource.leadTo(replica.url);
    },
  };
}

function startStandby(primary: URL, guard: Guard) {
  const { hostname, port, username, password, pathname, href } = primary;
  return startReplica(href, inject('keystride').cache, guard.owner, [
    `primary_conninfo=host=${hostname} port=${port} user=${username} password=${password} dbname=${pathname.slice(1)}`,
    ...[
      'primary_slot_name=standby',
      'hot_standby_feedback=on',
      'sync_replication_slots=on',
      'wal_level=logical',
    ],
  ]);
}

const arrived = (sink: pg.Pool, id: number) =>
  waitFor(async () => (await rowsOf(sink, 'public.k')).includes(`{"id": ${id}}`), {
    what: `row ${id}`,
    timeoutMs: 60_000,
  });

test('a source that fails over to a standby with its slot is followed on there, without copying', async () => {
  const { handle, sink, primary, standby, failOver } = await following();
  await primary.query('INSERT INTO public.k VALUES (200)');
  await arrived(sink, 200);
  await waitFor(async () => (await rowsOf(standby, 'public.k')).length === 101, { what: 'the standby' });
  await failOver();
  await standby.query('DELETE FROM public.k WHERE id <= 10; INSERT INTO public.k VALUES (300)');
  await arrived(sink, 300);
  expect(await rowsOf(sink, 'public.k')).toEqual(await rowsOf(standby, 'public.k'));
  await control(handle, 'stop');
  const report = await reportOf(handle);
  expect(report.status).toBe('stopped');
  expect(stepOf(report, 'copy').read).toBe(100);
});

test('a standby that lacks what was applied ends the run by name, and the next copies everything again', async () => {
  const { world, handle, sink, primary, standby, cutReplication, failOver } = await following();
  cutReplication();
  await primary.query('INSERT INTO public.k VALUES (200)');
  await arrived(sink, 200);
  await failOver();
  expect((await failureOf(handle)).message).toMatch(/a standby was promoted that lacks what was applied/);
  const next = await run(world, 'tableSync', { ...parameters, run: 2 });
  expect(stepOf(next, 'begin').result).toMatchObject({
    told: [expect.stringMatching(/lacks what was applied: everything is copied again/)],
  });
  expect(await rowsOf(sink, 'public.k')).toEqual(await rowsOf(standby, 'public.k'));
});
