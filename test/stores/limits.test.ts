import { execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { probePostgres } from '../../packages/keystride/src/dev/postgres.ts';
import { keystride } from '../cli/support.ts';
import { timeOfDay } from '../support/fake-time.ts';
import { reportOf, stepOf } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

/** A limit of the database that is met: what is told, and that the run goes on by itself when it is over. */
const rows = 2_000;
let world: World;
let superuser: pg.Client;
let day = 0;

beforeAll(async () => {
  world = await createWorld({ ownServers: true });
  superuser = await connected();
  await createDemoOrders({ databaseUrl: world.databaseUrl, count: rows, deliveredShare: 1 });
});

afterAll(async () => {
  await superuser?.end();
  await world?.dispose();
});

beforeEach(async () => {
  await superuser.query('UPDATE orders SET purchase_confirmed_at = NULL');
  if (!world.workers.some(({ pid }) => pid !== undefined)) await world.startWorker();
});

async function connected(url = world.databaseUrl): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

const start = () =>
  world.start('purchaseConfirmation', { deliveredBefore: `2025-10-${String((day += 1)).padStart(2, '0')}` });

/** Every order is confirmed once, whatever came between. */
async function expectDone(handle: WorkflowHandle): Promise<void> {
  const report = await reportOf(handle);
  expect(report).toMatchObject({ status: 'completed' });
  expect(stepOf(report, 'confirm')).toMatchObject({ read: rows, written: rows, skipped: 0 });
  const open = await superuser.query('SELECT FROM orders WHERE purchase_confirmed_at IS NULL');
  expect(open.rowCount).toBe(0);
}

/** What Temporal's UI and command show of the activities of the runs that wait. */
async function waitUntilTold(message: RegExp): Promise<void> {
  await waitFor(
    async () => {
      for await (const { workflowId } of world.client.workflow.list({
        query: `ExecutionStatus = 'Running'`,
      })) {
        const { raw } = await world.client.workflow.getHandle(workflowId).describe();
        const told = raw.pendingActivities?.map(({ lastFailure }) => lastFailure?.message ?? '');
        if (told?.some((text) => message.test(text))) return true;
      }
      return false;
    },
    { what: `the message ${message}`, timeoutMs: 60_000 },
  );
}

/** The sessions of workers, which then need others. */
async function endSessions(): Promise<void> {
  await superuser.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'keystride%'`,
  );
}

const doctor = async () => (await keystride(['doctor'], world.environment)).stdout;

test('max_connections reached (53300)', async () => {
  const taken: pg.Client[] = [];
  const takeAll = async () => {
    for (;;) taken.push(await connected());
  };
  await expect(takeAll()).rejects.toMatchObject({ code: '53300' });
  await endSessions();
  await expect(takeAll()).rejects.toMatchObject({ code: '53300' });
  const run = await start();
  await waitUntilTold(/purchaseConfirmation.*no connection left for us \(SQLSTATE 53300\)/u);
  expect(await doctor()).toMatch(/no connection left.*to do: Raise max_connections.*KEYSTRIDE_CONNECTIONS/su);
  await Promise.all(taken.map((client) => client.end()));
  await expectDone(run);
});

test('a database that is read-only (25006)', async () => {
  const name = pg.escapeIdentifier(new URL(world.databaseUrl).pathname.slice(1));
  await superuser.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
  await endSessions();
  const run = await start();
  await waitUntilTold(/takes no writes: it is a standby, or read-only \(SQLSTATE 25006\)/u);
  expect(await doctor()).toMatch(/DATABASE_URL takes no writes.*target_session_attrs=read-write/su);
  await superuser.query('SET default_transaction_read_only = off');
  await superuser.query(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
  // Nobody ends the sessions that began read-only.
  await expectDone(run);
});

const mounts = canMount();
if (!mounts)
  console.warn('Nothing can be mounted here (root is needed): the test of a full disk is skipped.');

test.skipIf(!mounts)('a disk that is full (53100)', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'keystride-full-'));
  const { rows: found } = await superuser.query<{ data_directory: string }>('SHOW data_directory');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory]);
  try {
    const { uid, gid } = statSync(found[0]?.data_directory ?? '');
    chownSync(directory, uid, gid);
    await superuser.query(`CREATE TABLESPACE small LOCATION '${directory}'`);
    await superuser.query('ALTER TABLE orders SET TABLESPACE small');
    await superuser.query('CREATE TABLE filler (text text STORAGE PLAIN) TABLESPACE small');
    const fill = async () => {
      for (;;)
        await superuser.query(`INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 7)`);
    };
    await expect(fill()).rejects.toMatchObject({ code: '53100' });
    const run = await start();
    await waitUntilTold(/confirm.*the disk of the database is full \(SQLSTATE 53100\)/u);
    await superuser.query('DROP TABLE filler');
    await expectDone(run);
    await superuser.query('ALTER TABLE orders SET TABLESPACE pg_default');
    await superuser.query('DROP TABLESPACE small');
  } finally {
    execFileSync('umount', ['-l', directory]);
    rmSync(directory, { recursive: true, force: true });
  }
});

function canMount(): boolean {
  const directory = mkdtempSync(path.join(tmpdir(), 'keystride-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory], { stdio: 'ignore' });
    execFileSync('umount', [directory], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const ahead = timeOfDay('+420s');
const behind = timeOfDay('-300s');
if (!ahead) console.warn('There is no libfaketime (Debian: libfaketime): the test of clocks is skipped.');

test.skipIf(!ahead)('clocks of a worker, the database and Temporal that are minutes apart', async () => {
  await Promise.all(world.workers.map((worker) => worker.kill()));
  const restored = await inAnotherTime({ ...ahead });
  try {
    const clocks = await superuser.query<{ ahead: number }>(
      'SELECT extract(epoch FROM clock_timestamp())::float8 - $1::float8 AS ahead',
      [Date.now() / 1000],
    );
    expect(clocks.rows[0]?.ahead).toBeGreaterThan(400);
    // The first is killed while it works: what it held is taken over by another, whose clock is elsewhere.
    const first = await world.startWorker({ environment: { ...behind } });
    const run = await start();
    await waitFor(
      async () =>
        Number((await superuser.query('SELECT FROM keystride.checkpoint WHERE seq > 0')).rowCount) > 0,
    );
    await first.kill();
    const second = await world.startWorker({ environment: { ...ahead } });
    await expectDone(run);
    await second.kill();
    await world.startWorker({ environment: { ...behind } });
    await superuser.query('UPDATE orders SET purchase_confirmed_at = NULL');
    await expectDone(await start());
    expect(await doctor()).toMatch(/clock is .* ahead of this machine's.*to do: Let both machines follow/su);
  } finally {
    await restored();
  }
});

/** Starts the database anew, with another time of day. @returns what starts it as it was */
async function inAnotherTime(environment: Record<string, string>): Promise<() => Promise<void>> {
  const { postgres } = world.servers;
  const place = `/proc/${postgres.pid}`;
  const [command = '', ...words] = readFileSync(`${place}/cmdline`, 'utf8').split('\0').slice(0, -1);
  const cwd = readlinkSync(`${place}/cwd`);
  const { uid, gid } = statSync(cwd);
  await postgres.kill();
  const other = spawn(command, words, {
    cwd,
    uid,
    gid,
    env: { LC_ALL: 'C', TZ: 'UTC', ...environment },
    stdio: 'ignore',
  });
  await waitFor(() =>
    probePostgres(world.databaseUrl).then(
      () => true,
      () => false,
    ),
  );
  superuser = await connected();
  return async () => {
    const ended = new Promise((resolve) => other.once('exit', resolve));
    other.kill('SIGINT');
    await ended;
    await postgres.restart();
  };
}
