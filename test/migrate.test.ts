import { readdir } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { migrateLedger, migrateTables } from '../packages/keystride/src/stores/postgres/migrate.ts';
import { testDatabase } from './support/database.ts';
import { TransactionPooler } from './support/transaction-pooler.ts';

/** In the order of their numbers, which is the order of their names. */
const migrationFiles = (await readdir(new URL('../packages/keystride/src/sql/', import.meta.url))).toSorted();

const service = { name: 'service', folder: path.join(import.meta.dirname, '../src/sql/service') };

let database: Awaited<ReturnType<typeof testDatabase>>;
let client: pg.Client;

beforeEach(async () => {
  database = await testDatabase('service');
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
}, 60_000);

afterEach(async () => {
  await client.end();
  await database.drop();
});

test('applies the files of a set in order, once', async () => {
  const applied = await migrateLedger(database.url);
  expect(applied).toEqual(migrationFiles);
  expect(await migrateLedger(database.url)).toEqual([]);
  const { rows } = await client.query(
    `select name, checksum ~ '^[0-9a-f]{64}$' as hashed from keystride.schema_migration
      where set = 'ledger' order by name`,
  );
  expect(rows).toEqual(applied.map((name) => ({ name, hashed: true })));
});

test('lets several starts at once all succeed, and applies each file once', async () => {
  await client.query('drop schema keystride cascade');
  const all = await Promise.all(Array.from({ length: 4 }, () => migrateLedger(database.url)));
  expect(all.flat().toSorted()).toEqual(migrationFiles);
});

test('works through a pooler that gives each transaction another connection, and leaves no lock there', async () => {
  await client.query('drop schema keystride cascade');
  const pooler = await TransactionPooler.start(database.url, 3);
  const pooled = pooler.urlOf(database.url);
  try {
    const both = await Promise.all([migrateLedger(pooled), migrateLedger(pooled)]);
    expect(both.flat().toSorted()).toEqual(migrationFiles);
    expect(await migrateLedger(pooled)).toEqual([]);
    const { rows } = await client.query(
      `select pid from pg_locks join pg_database on pg_database.oid = pg_locks.database
        where locktype = 'advisory' and datname = current_database()`,
    );
    expect(rows).toEqual([]);
  } finally {
    await pooler.stop();
  }
});

test('refuses a file that changed after it was applied', async () => {
  await client.query(`update keystride.schema_migration set checksum = 'another' where set = 'service'`);
  await expect(migrateTables(database.url, service)).rejects.toThrow(
    /0001_documents\.sql was applied with another content .*restore the file/,
  );
});

test('leaves nothing of a file that fails, and says which one it was', async () => {
  await client.query('create table public.preprocess_job ()');
  await expect(migrateLedger(database.url)).rejects.toThrow(
    /0002_documents\.sql: relation "preprocess_job" already exists/,
  );
  const { rows } = await client.query(`select to_regclass('migration_target') as target`);
  expect(rows).toEqual([{ target: null }]);
  await client.query('drop table public.preprocess_job');
  expect(await migrateLedger(database.url)).toEqual(migrationFiles.slice(1));
});

test('names the database and the grant that a role lacks, and no credentials', async () => {
  const role = `migrate_test_${process.pid}`;
  await client.query(`create role ${role} login password 'hidden-word'`);
  try {
    await client.query(`revoke create on schema public from public`);
    await client.query(`grant usage on schema keystride to ${role}`);
    await client.query(`grant select on keystride.schema_migration to ${role}`);
    const url = new URL(database.url);
    Object.assign(url, { username: role, password: 'hidden-word' });
    await migrateTables(url.href, service);
    const refused: Error = await migrateLedger(url.href).then(
      () => expect.fail('the role must not be able to'),
      (error: Error) => error,
    );
    expect(refused.message).toContain(`${url.host}${url.pathname}`);
    expect(refused.message).toMatch(/0001_ledger\.sql: permission denied .*GRANT CREATE ON DATABASE/);
    expect(refused.message).not.toContain('hidden-word');
  } finally {
    await client.query(`drop owned by ${role}`);
    await client.query(`drop role ${role}`);
  }
});

test('names the address of a database that cannot be reached', async () => {
  await expect(migrateTables('postgres://user:hidden-word@127.0.0.1:1/nowhere', service)).rejects.toThrow(
    /^Cannot migrate the database 127\.0\.0\.1:1\/nowhere: connect ECONNREFUSED/,
  );
});
