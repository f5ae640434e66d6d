import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { Guard } from '../../packages/keystride/src/dev/guard.ts';
import { freePort } from '../../packages/keystride/src/dev/ports.ts';
import type { ServerProcess } from '../../packages/keystride/src/dev/server-process.ts';
import { databaseOn } from '../../packages/keystride/src/stores/postgres/database-url.ts';
import { keystride } from '../cli/support.ts';
import {
  addressOf,
  asPostgres,
  type Cluster,
  initCluster,
  olderPrograms,
  startCluster,
  twoVersions,
} from '../support/other-postgres.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

/** A database moves to the next major version of PostgreSQL in the middle of a run. */

/** As a dump: the older server is that of this machine, whose `pg_dump` knows it. */
const programs = olderPrograms();
if (programs === undefined)
  console.warn('There is no PostgreSQL before 18 here (Debian: postgresql): dumps of it are not tested.');
/** By `pg_upgrade`, which needs the programs of both. */
const versions = twoVersions(inject('keystride').cache);

const rows = 3_000;
const guard = new Guard();
const home = mkdtempSync(path.join(tmpdir(), 'keystride-upgrade-'));
let world: World;
let server: ServerProcess | undefined;
let after: string | undefined;
const upgraded = `keystride_upgraded_${process.pid}`;

beforeAll(async () => {
  // Whoever PostgreSQL runs as passes through it.
  chmodSync(home, 0o711);
  world = await createWorld();
});

afterEach(async () => {
  await Promise.all(world.workers.map((worker) => worker.stop()));
  await server?.stop();
});

afterAll(async () => {
  if (after !== undefined)
    await withClient(world.databaseUrl, (client) => client.query(`DROP DATABASE ${upgraded} WITH (FORCE)`));
  await world?.dispose();
  guard.close();
  rmSync(home, { recursive: true, force: true });
});

/** An older server with a ledger and orders to confirm. */
async function olderServer(name: string, bin: string): Promise<Cluster> {
  const cluster = { programs: bin, data: path.join(home, name, 'data'), port: await freePort() };
  initCluster(cluster);
  server = await startCluster(cluster, guard);
  const migrated = await keystride(['migrate'], environment(addressOf(cluster)));
  expect(migrated.exitCode, migrated.stderr).toBe(0);
  await createDemoOrders({ databaseUrl: addressOf(cluster), count: rows, deliveredShare: 1 });
  return cluster;
}

const environment = (databaseUrl: string) => ({ ...world.environment, DATABASE_URL: databaseUrl });

async function withClient<Result>(url: string, use: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** As people move a database: dumped by the programs of the old server, and restored by its psql into the new one. */
async function dumpAndRestore(bin: string, before: string): Promise<string> {
  const moved = databaseOn(world.databaseUrl, upgraded);
  await withClient(world.databaseUrl, (client) => client.query(`CREATE DATABASE ${upgraded}`));
  const file = path.join(home, 'dump.sql');
  const dump = ['--no-owner', '--no-privileges', '-f', file, before];
  execFileSync(path.join(bin, 'pg_dump'), dump, { stdio: ['ignore', 'ignore', 'inherit'] });
  const restore = ['-v', 'ON_ERROR_STOP=1', '-q', '-f', file, moved];
  execFileSync(path.join(bin, 'psql'), restore, { stdio: ['ignore', 'ignore', 'inherit'] });
  return moved;
}

/** What each table of the ledger holds, as a hash of its rows. */
function ledgerIn(url: string): Promise<Record<string, string>> {
  return withClient(url, async (client) => {
    const { rows: tables } = await client.query<{ name: string }>(
      `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'keystride' ORDER BY 1`,
    );
    const held: Record<string, string> = {};
    for (const { name } of tables) {
      const { rows: hashes } = await client.query<{ hash: string }>(
        `SELECT count(*) || ' ' || coalesce(md5(string_agg(row::text, ',' ORDER BY row::text COLLATE "C")), '') AS hash
           FROM keystride.${client.escapeIdentifier(name)} AS row`,
      );
      held[name] = hashes[0]?.hash ?? '';
    }
    return held;
  });
}

const confirmed = (url: string) =>
  withClient(url, async (client) => {
    const { rowCount } = await client.query('SELECT FROM orders WHERE purchase_confirmed_at IS NOT NULL');
    return rowCount;
  });

/** What Temporal's UI and command show of what the open runs wait for. */
async function isTold(message: RegExp): Promise<boolean> {
  for await (const { workflowId } of world.client.workflow.list({ query: `ExecutionStatus = 'Running'` })) {
    const { raw } = await world.client.workflow.getHandle(workflowId).describe();
    const told = raw.pendingActivities?.map(({ lastFailure }) => lastFailure?.message ?? '');
    if (told?.some((text) => message.test(text))) return true;
  }
  return false;
}

const numbers = ['start', 'evenNumbers', '--watch', '-o', 'json'];
const orders = (date: string) => ['start', 'purchaseConfirmation', '--param', `deliveredBefore=${date}`];

/** Starts to confirm orders, and does what is asked for while the last of them is not: it is held, and what is before it commits. */
function inTheMiddle<Result>(url: string, date: string, use: () => Promise<Result>): Promise<Result> {
  return withClient(url, async (client) => {
    // The server may be stopped while this client holds the order.
    client.on('error', () => undefined);
    await client.query('BEGIN; SELECT FROM orders ORDER BY id DESC LIMIT 1 FOR UPDATE');
    expect(await keystride(orders(date), environment(url))).toMatchObject({ exitCode: 0 });
    await waitFor(async () => Number(await confirmed(url)) > 0);
    return use();
  });
}

test.skipIf(programs === undefined)(
  'a ledger that was dumped holds what it held, tells the runs of before, and a start goes on',
  async () => {
    const before = addressOf(await olderServer('dumped', programs ?? ''));
    const worker = await world.startWorker({ environment: { DATABASE_URL: before } });
    expect((await keystride(numbers, environment(before))).json()).toMatchObject({ status: 'completed' });
    const date = '2025-10-01';
    await inTheMiddle(before, date, async () => {
      await worker.kill();
      // What the server still has of it in hand is not to come through when the order is let go.
      await withClient(before, (client) =>
        client.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'keystride%'`,
        ),
      );
    });
    expect(await confirmed(before)).toBeLessThan(rows);

    const moved = (after = await dumpAndRestore(programs ?? '', before));
    expect(await ledgerIn(moved)).toEqual(await ledgerIn(before));

    // A dump is another ledger, and the run of before says so instead of doing again what it has done there.
    await world.startWorker({ environment: { DATABASE_URL: moved } });
    const run = world.client.workflow.getHandle(`purchaseConfirmation:deliveredBefore=${date}`);
    await waitFor(() => isTold(/a copy of that ledger|another ledger/u), { timeoutMs: 120_000 });
    await run.terminate('the database was upgraded');
    expect(
      (await keystride([...orders(date), '--watch', '-o', 'json'], environment(moved))).json(),
    ).toMatchObject({
      status: 'completed',
      steps: [{ read: rows, written: rows, skipped: 0 }],
    });
    expect(await confirmed(moved)).toBe(rows);
    expect((await keystride(numbers, environment(moved))).json()).toMatchObject({
      error: { type: 'JobInstanceAlreadyComplete' },
    });
    const audit = await keystride(['audit', '-o', 'json'], environment(moved));
    expect(audit.stdout.match(/"purchaseConfirmation:deliveredBefore=2025-10-01"/gu)?.length).toBeGreaterThan(
      1,
    );
  },
  240_000,
);

/** Stops the older server, brings its data over, and starts the newer one in its place. */
async function upgradeInPlace(from: Cluster, bin: string): Promise<void> {
  const to = { ...from, programs: bin, data: path.join(path.dirname(from.data), 'newer') };
  initCluster(to);
  await server?.stop();
  const port = String(await freePort());
  const words = ['-b', from.programs, '-B', bin, '-d', from.data, '-D', to.data, '-U', 'keystride'];
  const ports = ['-p', port, '-P', port, '-s', path.dirname(from.data)];
  const env = { ...process.env, LC_ALL: 'C' };
  execFileSync(path.join(bin, 'pg_upgrade'), [...words, ...ports], {
    ...asPostgres(path.dirname(from.data)),
    ...{ env, stdio: 'pipe' },
  });
  server = await startCluster(to, guard);
}

test.skipIf(versions === undefined)(
  'a ledger that pg_upgrade has brought over is the same one, and its open runs go on',
  async () => {
    if (versions === undefined) return;
    const cluster = await olderServer('upgraded', versions.older);
    const url = addressOf(cluster);
    await world.startWorker({ environment: { DATABASE_URL: url } });
    expect((await keystride(numbers, environment(url))).json()).toMatchObject({ status: 'completed' });
    const date = '2025-11-01';
    let held = 0;
    await inTheMiddle(url, date, async () => {
      held = Number(await confirmed(url));
      await upgradeInPlace(cluster, versions.newer);
    });
    expect(held).toBeLessThan(rows);

    // The worker was there all the time, and its run has waited.
    const run = world.client.workflow.getHandle(`purchaseConfirmation:deliveredBefore=${date}`);
    expect(await run.result()).toMatchObject({
      status: 'completed',
      steps: [{ read: rows, written: rows, skipped: 0 }],
    });
    expect(await confirmed(url)).toBe(rows);
    await withClient(url, async (client) => {
      expect((await client.query('SHOW server_version_num')).rows).toEqual([
        { server_version_num: expect.stringMatching(/^18/u) },
      ]);
    });
    expect((await keystride(numbers, environment(url))).json()).toMatchObject({
      error: { type: 'JobInstanceAlreadyComplete' },
    });
  },
  240_000,
);
