import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { databaseOn } from '../../packages/keystride/src/stores/postgres/database-url.ts';
import { keystride } from '../cli/support.ts';
import { runEveryJob } from '../support/every-job.ts';
import { createWorld, type World } from '../support/stack.ts';

/** The roles of `ops/sql` are enough for a release, for runs, and for looking at them; and for nothing else. */
const mark = randomBytes(4).toString('hex');
const roles = ['migrate', 'worker', 'source'].map((name) => `keystride_${mark}_${name}`);
const name = `keystride_test_rights_${mark}`;
let world: World;
let superuser: pg.Client;
/** An empty database, which only the roles have made anything in. */
let target: string;

beforeAll(async () => {
  world = await createWorld();
  const server = inject('keystride').databaseUrl;
  superuser = new pg.Client({ connectionString: server });
  await superuser.connect();
  await superuser.query(`CREATE DATABASE ${name}`);
  target = databaseOn(server, name);
  await script('roles', server);
  for (const role of roles) await superuser.query(`ALTER ROLE ${role} PASSWORD 'word'`);
  await script('target', target);
  await script('source', world.sourceDatabaseUrl);
  const migrating = { ...world.environment, DATABASE_URL: as('migrate', target) };
  for (const only of ['ledger', 'target'])
    expect(await keystride(['migrate', '--only', only], migrating)).toMatchObject({ exitCode: 0 });
  await script('jobs', target);
  // Doing it again harms nothing.
  await script('target', target);
});

afterAll(async () => {
  await world?.dispose();
  await superuser?.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  await superuser?.query(`DROP ROLE IF EXISTS ${roles.join(', ')}`);
  await superuser?.end();
});

/** Roles are of the whole server: these have names of their own. */
async function script(file: string, url: string): Promise<void> {
  const text = readFileSync(path.join(import.meta.dirname, `../../ops/sql/${file}.sql`), 'utf8');
  await statements(url, text.replaceAll(/keystride_(?=migrate|worker|source)/gu, `keystride_${mark}_`));
}

async function statements(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

function as(role: string, url: string): string {
  return Object.assign(new URL(url), { username: `keystride_${mark}_${role}`, password: 'word' }).href;
}

/** As on the read-only file system of `ops/kubernetes/worker.yaml`: Node refuses whatever writes to a file. */
const mayWriteNoFile = '--permission --allow-fs-read=* --allow-addons --allow-worker';

test('one role migrates, one works and writes no file, one reads, and doctor agrees', async () => {
  const environment = {
    DATABASE_URL: as('worker', target),
    SOURCE_DATABASE_URL: as('source', world.sourceDatabaseUrl),
  };
  await world.startWorker({ environment: { ...environment, NODE_OPTIONS: mayWriteNoFile } });
  await runEveryJob(world, { databaseUrl: target, sourceDatabaseUrl: world.sourceDatabaseUrl });

  const doctor = await keystride(['doctor'], { ...world.environment, ...environment });
  expect(doctor.stdout).toMatch(/\n0 bad, /u);
  expect(doctor.stdout).toMatch(/_worker reads and writes the ledger, and may not migrate it/u);
});

test.each([
  ['worker', 'target', 'CREATE TABLE public.mine (id int)', '42501'],
  ['worker', 'target', 'TRUNCATE keystride.instance CASCADE', '42501'],
  ['worker', 'target', 'ALTER TABLE orders DISABLE TRIGGER ALL', '42501'],
  ['worker', 'target', `DELETE FROM orders`, '42501'],
  ['worker', 'target', `UPDATE keystride.schema_migration SET name = 'other'`, '42501'],
  ['source', 'source', `DELETE FROM legacy_document`, '25006'],
  ['source', 'source', `BEGIN READ WRITE; DELETE FROM legacy_document`, '42501'],
  ['migrate', 'target', 'CREATE ROLE other', '42501'],
])('%s cannot, on the %s: %s', async (role, database, text, code) => {
  const url = as(role, database === 'target' ? target : world.sourceDatabaseUrl);
  await expect(statements(url, text)).rejects.toMatchObject({ code });
});
