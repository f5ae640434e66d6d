import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { chunks, chunkStep, defineJob, registerJob } from 'keystride';
import { keysetReader, typedSql } from 'keystride/postgres';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import {
  connectionsLeft,
  type Database,
  databaseClock,
  horizonHolders,
  mayWatch,
  serverVersion,
} from '../../packages/keystride/src/doctor/database.ts';
import { freeDisk, remoteDisk } from '../../packages/keystride/src/doctor/disk.ts';
import {
  ledgerGrants,
  ledgerLevel,
  ledgerMigrations,
  projectMigrations,
  retentionOf,
} from '../../packages/keystride/src/doctor/ledger.ts';
import { partitionsFit } from '../../packages/keystride/src/doctor/partitions.ts';
import { reachDatabase } from '../../packages/keystride/src/doctor/parts.ts';
import { readersOf } from '../../packages/keystride/src/doctor/readers.ts';
import { Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { loadConfig } from '../../packages/keystride/src/settings/config.ts';
import { emptyDatabase, ownMigrations, testDatabase, type TestDatabase } from '../support/database.ts';

let target: TestDatabase;
let pool: pg.Pool;
let database: Database;

beforeAll(async () => {
  target = await testDatabase('target');
  pool = new pg.Pool({ connectionString: target.url, max: 3 });
  database = { title: 'DATABASE_URL', pool };
});

afterAll(async () => {
  await pool?.end();
  await target?.drop();
});

test('a server of today is as it should be', async () => {
  expect(await serverVersion(database)).toMatchObject({
    mark: 'ok',
    what: expect.stringMatching(/PostgreSQL \d/u) as string,
  });
  expect(await databaseClock(database)).toMatchObject({ mark: 'ok' });
  expect(await horizonHolders(database, 3600)).toMatchObject([{ mark: 'ok' }]);
  expect(await remoteDisk(pool)).toMatchObject({
    mark: 'ok',
    what: expect.stringContaining('cannot be seen from here') as string,
  });
});

test('a clock that is apart is told, and to which side', async () => {
  expect(await databaseClock(database, () => Date.now() - 90_000)).toMatchObject({
    mark: 'bad',
    what: expect.stringMatching(/its clock is 1 min \d+ s ahead of this machine's/u) as string,
  });
  expect(await databaseClock(database, () => Date.now() + 20_000)).toMatchObject({
    mark: 'warn',
    what: expect.stringContaining('behind') as string,
    todo: expect.stringContaining('NTP') as string,
  });
});

test('connections that the server does not have are told', async () => {
  expect(await connectionsLeft(database, { connections: 1, workers: 1 })).toMatchObject({ mark: 'ok' });
  expect(await connectionsLeft(database, { connections: 400, workers: 3 })).toMatchObject({
    mark: 'warn',
    what: expect.stringContaining('3 workers may open 1200 connections') as string,
  });
  const wide = defineJob({
    name: 'wide',
    description: 'Many partitions',
    parameters: z.object({}),
    steps: { all: chunkStep({ partitions: 64, window: 50 }) },
  });
  expect(partitionsFit([wide], { connections: 20, workers: 3 })).toMatchObject({ mark: 'ok' });
  expect(partitionsFit([wide], { connections: 20, workers: 2 })).toMatchObject({
    mark: 'warn',
    what: expect.stringContaining('wide step all runs 50 partitions at a time') as string,
    todo: 'Set KEYSTRIDE_CONNECTIONS to 25, or run more workers.',
  });
});

test('who holds old row versions is told by process and by slot', async () => {
  const idle = await pool.connect();
  const slot = `keystride_test_${randomUUID().slice(0, 8)}`;
  await idle.query('BEGIN');
  await idle.query('SELECT pg_current_xact_id()');
  await pool.query('SELECT pg_create_physical_replication_slot($1)', [slot]);
  try {
    const { rows } = await idle.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const found = await horizonHolders(database, 0);
    expect(found).toContainEqual(
      expect.objectContaining({
        mark: 'warn',
        what: expect.stringContaining(`process ${rows[0]?.pid}, idle in transaction holds`) as string,
        todo: expect.stringContaining('pg_terminate_backend') as string,
      }),
    );
    expect(found).toContainEqual(
      expect.objectContaining({
        what: expect.stringContaining(`replication slot ${slot}, which nobody reads`) as string,
      }),
    );
  } finally {
    await pool.query('SELECT pg_drop_replication_slot($1)', [slot]);
    await idle.query('ROLLBACK');
    idle.release();
  }
});

test('a role without rights is told what it lacks, and the grant that helps', async () => {
  const role = `stranger_${randomUUID().replaceAll('-', '')}`;
  await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'stranger'`);
  const url = new URL(target.url);
  url.username = role;
  url.password = 'stranger';
  const own = new pg.Pool({ connectionString: url.href, max: 1 });
  try {
    expect(await ledgerGrants(own)).toMatchObject({
      mark: 'bad',
      what: expect.stringContaining(`${role} lacks rights on the ledger: DELETE on `) as string,
      todo: expect.stringContaining(`TO ${role}`) as string,
    });
    await pool.query(`GRANT USAGE ON SCHEMA keystride TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA keystride TO ${role}`);
    expect(await ledgerGrants(own)).toMatchObject({
      mark: 'ok',
      what: expect.stringContaining('may not migrate it') as string,
    });
    await pool.query('ALTER TABLE keystride.skip ENABLE ROW LEVEL SECURITY');
    expect(await ledgerGrants(own)).toMatchObject({
      mark: 'bad',
      what: `row security may hide rows of the ledger from ${role}, in skip`,
      todo: expect.stringContaining('DISABLE ROW LEVEL SECURITY') as string,
    });
    await pool.query('ALTER TABLE keystride.skip DISABLE ROW LEVEL SECURITY');
    expect(await mayWatch({ title: 'DATABASE_URL', pool: own }, false)).toEqual([]);
    expect(await mayWatch({ title: 'DATABASE_URL', pool: own }, true)).toMatchObject([
      { mark: 'warn', todo: `As a superuser: GRANT pg_monitor TO ${role}` },
    ]);
  } finally {
    await own.end();
    await pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
  expect(await ledgerGrants(pool)).toMatchObject({ mark: 'ok' });
});

test('a ledger that is missing or old is told with its files, the tables of the project too', async () => {
  expect(await ledgerMigrations(pool)).toMatchObject({ mark: 'ok' });
  expect(await projectMigrations(pool, ownMigrations('target'))).toMatchObject({ mark: 'ok' });
  const empty = await emptyDatabase();
  const none = new pg.Pool({ connectionString: empty.url, max: 1 });
  try {
    expect(await ledgerMigrations(none)).toMatchObject({
      mark: 'bad',
      what: expect.stringContaining('0001_ledger.sql') as string,
      todo: expect.stringContaining('keystride migrate') as string,
    });
    expect(await projectMigrations(none, ownMigrations('target'))).toMatchObject({ mark: 'bad' });
  } finally {
    await none.end();
    await empty.drop();
  }
});

test('a ledger that reckons with workers of an earlier release is told, with the command', async () => {
  expect(await ledgerLevel(pool)).toMatchObject({ mark: 'ok' });
  await pool.query('UPDATE keystride.ledger SET level = 0');
  expect(await ledgerLevel(pool)).toMatchObject({
    mark: 'warn',
    todo: expect.stringContaining('keystride migrate --no-older-workers') as string,
  });
});

test('a retention shorter than a run is told with the run', async () => {
  await pool.query(
    `INSERT INTO keystride.instance (instance_key, job, params, epoch, owner_workflow_id, owner_run_id, status, opened_at)
     VALUES ('evenNumbers:from=7', 'evenNumbers', '{}', 1, 'w', 'r', 'running', now() - interval '3 days')`,
  );
  expect(await retentionOf(pool, 30 * 86_400, 'default')).toMatchObject({ mark: 'ok' });
  expect(await retentionOf(pool, 86_400, 'default')).toMatchObject({
    mark: 'warn',
    what: expect.stringContaining('evenNumbers:from=7 took 3 d') as string,
    todo: expect.stringContaining('--retention 5d') as string,
  });
});

test('a disk that is nearly full is told', async () => {
  expect(await freeDisk(tmpdir(), { warn: 1, bad: 1 })).toMatchObject({ mark: 'ok' });
  expect(await freeDisk(tmpdir(), { warn: Infinity, bad: 1 })).toMatchObject({ mark: 'warn' });
  expect(await freeDisk(tmpdir(), { warn: Infinity, bad: Infinity })).toMatchObject({
    mark: 'bad',
    todo: expect.stringContaining('KEYSTRIDE_HOME') as string,
  });
});

test('a password that is refused is told without it', async () => {
  const url = new URL(target.url);
  url.password = 'not-the-secret';
  const { finding, part } = await reachDatabase(loadConfig({ DATABASE_URL: url.href }));
  expect(part).toBeUndefined();
  expect(finding).toMatchObject({
    mark: 'bad',
    what: expect.stringContaining('refuses the password') as string,
    todo: expect.stringContaining('DATABASE_URL') as string,
  });
  expect(JSON.stringify(finding)).not.toContain('not-the-secret');
});

test('a key without an index, and one that may be null, are told with job and step', async () => {
  await pool.query(`CREATE TABLE bill (id bigint PRIMARY KEY, number int NOT NULL UNIQUE, day date NOT NULL, note text UNIQUE,
                                       UNIQUE (day, id))`);
  const bills = typedSql<{ bill: { id: string; number: number; day: string; note: string } }>().selectFrom(
    'bill',
  );
  const jobOver = (key: readonly ('id' | 'number' | 'day' | 'note')[]) => {
    const definition = defineJob({
      name: 'billing',
      description: 'Go over the bills',
      parameters: z.object({ day: z.iso.date(), kind: z.enum(['all', 'open']), batch: z.int().min(5) }),
      steps: { send: chunkStep() },
    });
    return registerJob(definition, {
      send: ({ parameters: { day } }) =>
        chunks({
          reader: keysetReader({
            pool,
            query: bills.select('id').where('day', '>=', day),
            table: 'bill',
            key,
          }),
          processor: ({ id }) => id,
          writer: { write: () => Promise.resolve() },
        }),
    });
  };
  const ledger = new Ledger(pool);
  expect(await readersOf(jobOver(['id']), ledger, undefined)).toEqual([]);
  expect(await readersOf(jobOver(['number', 'id']), ledger, undefined)).toMatchObject([
    {
      mark: 'warn',
      what: expect.stringContaining(
        'billing step send: no index of bill has the columns (number, id)',
      ) as string,
      todo: expect.stringContaining('CREATE INDEX CONCURRENTLY ON bill (number, id)') as string,
    },
  ]);
  expect(await readersOf(jobOver(['note']), ledger, undefined)).toMatchObject([
    {
      mark: 'bad',
      what: expect.stringContaining('billing step send: column bill.note may be null') as string,
    },
  ]);
});
