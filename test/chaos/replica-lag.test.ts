import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import { type Stack, startStack } from '../../packages/keystride/src/dev/stack.ts';
import { readHealth } from '../../packages/keystride/src/stores/postgres/health.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { WalAge } from '../../packages/keystride/src/stores/postgres/wal-age.ts';
import { gatedTable } from '../support/jobs/gated.ts';
import { type Replica, startReplica } from '../support/replica.ts';
import { reportOf, stepOf, until } from '../support/runs.ts';
import { createWorld, testJobsWorker, waitFor, type World } from '../support/stack.ts';

// A primary and its streaming replica of our own: all else of the world is shared.
let home: string;
let stack: Stack<'postgres'>;
let replica: Replica;
let primary: pg.Pool;
let standby: pg.Pool;
let world: World;

const limits = { replicationLagSeconds: 1 };

beforeAll(async () => {
  const { cache } = inject('keystride');
  home = mkdtempSync(path.join(tmpdir(), 'keystride-replica-'));
  chmodSync(home, 0o711);
  stack = await startStack({ home, cache, parts: ['postgres'], environment: {} });
  const { databaseUrl } = stack.info;
  const { ownership } = stack;
  replica = await startReplica(databaseUrl, cache, ownership);
  primary = createPool(databaseUrl, 'a service', 4);
  standby = createPool(replica.url, 'a service', 1);
  world = await createWorld({ workerProgram: testJobsWorker });
  await world.startWorker({
    environment: {
      DATABASE_URL: databaseUrl,
      KEYSTRIDE_HEALTH_REPLICATION_LAG: String(limits.replicationLagSeconds),
    },
  });
  await primary.query(gatedTable);
});

afterAll(async () => {
  await world?.dispose();
  await primary?.end();
  await standby?.end();
  await replica?.stop();
  await stack?.stop();
  rmSync(home, { recursive: true, force: true });
});

const replay = (what: 'pause' | 'resume') => standby.query(`SELECT pg_wal_replay_${what}()`);

afterEach(() => replay('resume'));

const write = () => primary.query("INSERT INTO gate_output VALUES ('something else', 0)");

async function caughtUp(): Promise<{ shown: number | null }> {
  return waitFor(async () => {
    const { rows } = await primary.query<{ up: boolean; shown: number | null }>(
      'SELECT replay_lsn = pg_current_wal_flush_lsn() AS up, extract(epoch FROM replay_lag)::float AS shown FROM pg_stat_replication',
    );
    return rows[0]?.up === true && rows[0];
  });
}

async function written(run: string): Promise<object | undefined> {
  const { rows } = await primary.query<{ rows: number; items: number }>(
    'SELECT count(*)::int AS rows, count(DISTINCT item)::int AS items FROM gate_output WHERE run = $1',
    [run],
  );
  return rows[0];
}

test('a step holds while a replica does not keep up, says so, and goes on by itself when it has caught up', async () => {
  const told = { items: 1_000, chunkSize: 20, rowsPerSecond: 200, partitions: 2, pageSeconds: 5 };
  const handle = await world.start('gated', { run: 'lag', ...told });
  await until(world, handle.workflowId, 'running');
  await replay('pause');
  const { reason } = await until(world, handle.workflowId, 'throttled');
  expect(reason).toMatch(/^the database: replication lag of [\d.]+ s, more than 1$/u);
  const atRest = await written('lag');
  await delay(1_000);
  expect(await written('lag')).toEqual(atRest);
  await replay('resume');
  const report = await reportOf(handle);
  expect(report.status).toBe('completed');
  const held = stepOf(report, 'items').decisions?.filter(({ what }) => what === 'throttled');
  expect(held).toMatchObject([{ reason }, { reason: 'went on', to: null }]);
  expect(await written('lag')).toEqual({ rows: 1_000, items: 1_000 });
});

test('the replay of a quiet server stands still: its age is seen, and gone as soon as it has caught up', async () => {
  const age = new WalAge();
  await write();
  await caughtUp();
  await replay('pause');
  await write();
  expect(await readHealth(primary, limits, age)).toBeNull();
  await delay(1_500);
  expect(await readHealth(primary, limits, age)).toMatch(/^replication lag of (1\.[5-9]|[2-9]\.)/u);
  await replay('resume');
  const { shown } = await caughtUp();
  // The delay that is over is what PostgreSQL still shows.
  expect(shown).toBeGreaterThan(1);
  expect(await readHealth(primary, limits, age)).toBeNull();
  expect(await readHealth(standby, limits), 'a replica may itself be the source of a job').toBeNull();
});

test('a replica that has stopped answering is behind', async () => {
  const age = new WalAge();
  const receiver = processOf(replica, 'walreceiver');
  await write();
  await caughtUp();
  process.kill(receiver, 'SIGSTOP');
  try {
    await write();
    expect(await readHealth(primary, limits, age)).toBeNull();
    await delay(1_500);
    expect(await readHealth(primary, limits, age)).toMatch(/^replication lag of /u);
  } finally {
    process.kill(receiver, 'SIGCONT');
  }
  await caughtUp();
  expect(await readHealth(primary, limits, age)).toBeNull();
});

test('a role that may not see replicas is told what is hidden, and what to grant', async () => {
  const address = new URL(stack.info.databaseUrl);
  await primary.query("CREATE ROLE limited LOGIN PASSWORD 'limited'");
  const limited = createPool(address.href.replace(/\/\/[^@]+@/u, '//limited:limited@'), 'keystride', 1);
  try {
    await expect(readHealth(limited, limits)).rejects.toThrow(
      'the delay of the replicas is not shown to this role: grant it pg_monitor',
    );
    expect(await readHealth(limited, { lockWaits: 1_000 })).toBeNull();
    await primary.query('GRANT pg_monitor TO limited');
    await caughtUp();
    expect(await readHealth(limited, limits)).toBeNull();
  } finally {
    await limited.end();
  }
});

/** The id of a process of a server, by what it calls itself. */
function processOf({ pid }: Replica, name: string): number {
  const children = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
  const found = children
    .map((line) => line.trim().split(/\s+/u))
    .find(([, parent, ...words]) => {
      return Number(parent) === pid && words.includes(name);
    });
  if (!found) throw new Error(`the replica has no process ${name}`);
  return Number(found[0]);
}
