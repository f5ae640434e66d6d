import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Guard } from '../../packages/keystride/src/dev/guard.ts';
import { migrateLedger } from '../../packages/keystride/src/ledger/migrate.ts';
import { runEveryJob } from '../support/every-job.ts';
import { pgbouncer, type Pooler, startPgbouncer } from '../support/pgbouncer.ts';
import { createWorld, type World } from '../support/stack.ts';
import { keystride } from '../cli/support.ts';

if (pgbouncer === undefined)
  console.warn('There is no PgBouncer here (Debian: pgbouncer): its tests are skipped.');

/** Ledger, sources and commands behind a PgBouncer that gives every transaction another session. */
describe.skipIf(pgbouncer === undefined)('behind PgBouncer in transaction mode', () => {
  const guard = new Guard();
  let pooler: Pooler;
  let world: World;

  beforeAll(async () => {
    world = await createWorld();
    pooler = await startPgbouncer(inject('keystride').databaseUrl, guard.owner);
  });

  afterAll(async () => {
    await world?.dispose();
    await pooler?.stop();
    guard.close();
  });

  const environment = () => ({
    DATABASE_URL: pooler.urlOf(world.databaseUrl),
    SOURCE_DATABASE_URL: pooler.urlOf(world.sourceDatabaseUrl),
    KEYSTRIDE_CONNECTIONS: '12',
  });

  test('a job of each kind does every row once, and sessions keep nothing of it', async () => {
    await world.startWorker({ environment: environment() });
    await runEveryJob(world);
    // As many sessions as the pool has, for twelve connections to each database.
    const { rows } = await world.database.query<{ sessions: string }>(
      `SELECT count(*) AS sessions FROM pg_stat_activity WHERE datname = current_database() AND client_addr IS NOT NULL
          AND application_name LIKE 'keystride%' AND application_name <> 'keystride test'`,
    );
    expect(Number(rows[0]?.sessions)).toBeLessThanOrEqual(5);
    // Each transaction holds a session, so together they see all of them.
    const pool = new pg.Pool({ connectionString: environment().DATABASE_URL, max: 5 });
    const clients = await Promise.all(Array.from({ length: 5 }, () => pool.connect()));
    await Promise.all(clients.map((client) => client.query('BEGIN')));
    for (const client of clients) {
      const { rows: left } = await client.query(
        `SELECT current_setting('search_path') AS path, current_setting('lock_timeout') AS wait,
                (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks`,
      );
      expect(left).toEqual([{ path: 'public', wait: '0', locks: 0 }]);
      await client.query('ROLLBACK');
      client.release();
    }
    await pool.end();
    const doctor = await keystride(['doctor'], { ...world.environment, ...environment() });
    expect(doctor.stdout).toMatch(/\n0 bad, /u);
  });

  test('two that migrate at once apply each file once', async () => {
    const { DATABASE_URL } = environment();
    await world.database.query('DROP SCHEMA keystride CASCADE');
    const [one, other] = await Promise.all([migrateLedger(DATABASE_URL), migrateLedger(DATABASE_URL)]);
    expect(new Set([...one, ...other]).size).toBe(one.length + other.length);
    expect(await migrateLedger(DATABASE_URL)).toEqual([]);
  });
});
