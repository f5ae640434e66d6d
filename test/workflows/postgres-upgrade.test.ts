import { execFileSync } from 'node:child_process';
import { chownSync, globSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { Guard } from '../../packages/keystride/src/dev/guard.ts';
import { unprivilegedUser } from '../../packages/keystride/src/dev/places.ts';
import { freePort } from '../../packages/keystride/src/dev/ports.ts';
import { probePostgres } from '../../packages/keystride/src/dev/postgres.ts';
import { ServerProcess } from '../../packages/keystride/src/dev/server-process.ts';
import { databaseOn } from '../../packages/keystride/src/stores/postgres/database-url.ts';
import { keystride } from '../cli/support.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

/**
 * A database that moves to the next major version of PostgreSQL as a dump, in the middle of a run: the older server is that
 * of this machine, whose `pg_dump` knows it.
 */
const programs = globSync('/usr/lib/postgresql/*/bin').find((bin) => Number(/\d+/u.exec(bin)?.[0]) < 18);
if (programs === undefined)
  console.warn('There is no PostgreSQL before 18 here (Debian: postgresql): its upgrade is not tested.');

const rows = 3_000;
const guard = new Guard();
const home = mkdtempSync(path.join(tmpdir(), 'keystride-upgrade-'));
let world: World;
let server: ServerProcess;
/** The database before, and after. */
let before: string;
let after: string | undefined;
const upgraded = `keystride_upgraded_${process.pid}`;

beforeAll(async () => {
  if (programs === undefined) return;
  world = await createWorld();
  const port = await freePort();
  server = await olderServer(programs, port);
  before = `postgres://keystride@127.0.0.1:${port}/postgres`;
  const migrated = await keystride(['migrate'], environment(before));
  expect(migrated.exitCode, migrated.stderr).toBe(0);
  await createDemoOrders({ databaseUrl: before, count: rows, deliveredShare: 1 });
}, 240_000);

afterAll(async () => {
  await Promise.all((world?.workers ?? []).map((worker) => worker.stop()));
  if (after !== undefined)
    await withClient(world.databaseUrl, (client) => client.query(`DROP DATABASE ${upgraded} WITH (FORCE)`));
  await world?.dispose();
  await server?.stop();
  guard.close();
  rmSync(home, { recursive: true, force: true });
});

const environment = (databaseUrl: string) => ({ ...world.environment, DATABASE_URL: databaseUrl });

/** A server of the older version, which lets everybody in who is on this machine. */
async function olderServer(bin: string, port: number): Promise<ServerProcess> {
  const user = unprivilegedUser();
  const data = path.join(home, 'data');
  mkdirSync(data, { mode: 0o700 });
  if (user) for (const directory of [home, data]) chownSync(directory, user.uid, user.gid);
  const as = { cwd: data, ...(user && { uid: user.uid, gid: user.gid }) };
  const words = ['-D', data, '-U', 'keystride', '-E', 'UTF8', '--locale=C', '--no-sync'];
  execFileSync(path.join(bin, 'initdb'), words, { ...as, stdio: 'ignore' });
  const older = new ServerProcess(
    {
      name: 'older PostgreSQL',
      command: path.join(bin, 'postgres'),
      arguments: ['-D', data, '-p', String(port), '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
      environment: { LC_ALL: 'C', TZ: 'UTC' },
      ...(user && { user: { uid: user.uid, gid: user.gid } }),
      workingDirectory: data,
      logFile: path.join(home, 'postgres.log'),
      probe: () => probePostgres(`postgres://keystride@127.0.0.1:${port}/postgres`),
      ...{ readyWithinMs: 60_000, stopSignal: 'SIGINT', stopWithinMs: 20_000 },
    },
    guard.owner,
  );
  await older.start();
  return older;
}

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
async function move(bin: string): Promise<string> {
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

test.skipIf(programs === undefined)(
  'a ledger holds after an upgrade what it held, tells the runs of before, and a start goes on',
  async () => {
    const worker = await world.startWorker({ environment: { DATABASE_URL: before } });
    const numbers = ['start', 'evenNumbers', '--watch', '-o', 'json'];
    expect((await keystride(numbers, environment(before))).json()).toMatchObject({ status: 'completed' });
    const orders = ['start', 'purchaseConfirmation', '--param', 'deliveredBefore=2025-10-01'];
    // Somebody holds the last order until the worker is gone: what is before it commits, and the run stays open.
    await withClient(before, async (client) => {
      await client.query('BEGIN; SELECT FROM orders ORDER BY id DESC LIMIT 1 FOR UPDATE');
      expect(await keystride(orders, environment(before))).toMatchObject({ exitCode: 0 });
      await waitFor(async () => Number(await confirmed(before)) > 0);
      await worker.kill();
      // What the server still has of it in hand is not to come through when the order is let go.
      await client.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'keystride%'`,
      );
    });
    expect(await confirmed(before)).toBeLessThan(rows);

    const moved = (after = await move(programs ?? ''));
    expect(await ledgerIn(moved)).toEqual(await ledgerIn(before));

    // A dump is another ledger, and the run of before says so instead of doing again what it has done there.
    await world.startWorker({ environment: { DATABASE_URL: moved } });
    const run = world.client.workflow.getHandle('purchaseConfirmation:deliveredBefore=2025-10-01');
    await waitFor(() => isTold(/a copy of that ledger|another ledger/u), { timeoutMs: 120_000 });
    await run.terminate('the database was upgraded');
    expect((await keystride([...orders, '--watch', '-o', 'json'], environment(moved))).json()).toMatchObject({
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
