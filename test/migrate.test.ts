import { createHash } from 'node:crypto';
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { presentLevel } from '../packages/keystride/src/contract/level.ts';
import { migrateLedger, migrateTables } from '../packages/keystride/src/ledger/migrate.ts';
import { emptyDatabase, ownMigrations } from './support/database.ts';
import { TransactionPooler } from './support/transaction-pooler.ts';

const targetMigrations = ownMigrations('target');
const ledgerFolder = fileURLToPath(new URL('../packages/keystride/src/sql/', import.meta.url));

/** In the order of their numbers, which is the order of their names. */
const ledgerFiles = (await readdir(ledgerFolder)).filter((name) => name.endsWith('.sql')).toSorted();
const targetFiles = (await readdir(targetMigrations.folder)).toSorted();

let database: Awaited<ReturnType<typeof emptyDatabase>>;
let client: pg.Client;
/** A user's own migrations. */
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'keystride-migrations-'));
  database = await emptyDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
}, 60_000);

afterEach(async () => {
  await client.end();
  await database.drop();
  await rm(folder, { recursive: true });
});

const own = () => ({ name: 'shop', folder });

async function recorded(set: string): Promise<unknown[]> {
  const { rows } = await client.query<{ name: string }>(
    `select name from keystride.schema_migration where set = $1 and checksum ~ '^[0-9a-f]{64}$' order by name`,
    [set],
  );
  return rows.map(({ name }) => name);
}

/** Every table, column, constraint and index of a schema, as one text. */
async function shapeOf(schema: string): Promise<string> {
  const { rows } = await client.query<{ shape: string }>(
    `select concat_ws(' ', relname, relkind, attname, format_type(atttypid, atttypmod), attnotnull,
                      pg_get_expr(adbin, adrelid)) as shape
       from pg_class join pg_attribute on attrelid = pg_class.oid left join pg_attrdef on adrelid = attrelid and adnum = attnum
      where relnamespace = to_regnamespace($1) and attnum > 0
     union all
     select concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint
      where connamespace = to_regnamespace($1)
     union all
     select indexdef from pg_indexes where schemaname = $1
      order by 1`,
    [schema],
  );
  return rows.map(({ shape }) => shape).join('\n');
}

test('applies the files of the ledger in order, once, and then those of a set of tables', async () => {
  expect(await migrateLedger(database.url)).toEqual(ledgerFiles);
  expect(await migrateLedger(database.url)).toEqual([]);
  expect(await migrateTables(database.url, targetMigrations)).toEqual(targetFiles);
  expect(await migrateTables(database.url, targetMigrations)).toEqual([]);
  expect(await recorded('ledger')).toEqual(ledgerFiles);
  expect(await recorded('target')).toEqual(targetFiles);
});

test('makes the ledger beside tables of any names and shapes, and leaves them as they are', async () => {
  await client.query(`
    create table orders (number text primary key, coupon text);
    create table coupon (code text primary key, percent int check (percent > 0));
    create table history (at timestamptz default now(), what jsonb);
    create table instance (id int); create table step (id int); create table skip (id int);
    insert into orders values ('a', 'b');`);
  const before = await shapeOf('public');
  expect(await migrateLedger(database.url)).toEqual(ledgerFiles);
  expect(await shapeOf('public')).toBe(before);
  expect((await client.query('select * from orders')).rows).toEqual([{ number: 'a', coupon: 'b' }]);
});

test('never takes a file of a set for one of the ledger that has its name', async () => {
  for (const name of ledgerFiles) {
    const table = `own_${name.slice(0, 4)}`;
    await writeFile(path.join(folder, name), `create table ${table} ();`);
  }
  expect(await migrateTables(database.url, own())).toEqual(ledgerFiles);
  expect(await migrateLedger(database.url)).toEqual(ledgerFiles);
  await writeFile(path.join(folder, '0099_more.sql'), 'create table own_0099 ();');
  expect(await migrateTables(database.url, own())).toEqual(['0099_more.sql']);
  expect(await migrateLedger(database.url)).toEqual([]);
});

/** All files of both folders, as 0.1.0 applied them: in the order of their numbers, in one set. */
async function migrateAs010(upTo = '9999'): Promise<void> {
  await client.query(`create schema keystride; create table keystride.schema_migration (
    set text not null, name text not null, checksum text not null, applied_at timestamptz not null default now(),
    primary key (set, name))`);
  const folderOf = (name: string) => (ledgerFiles.includes(name) ? ledgerFolder : targetMigrations.folder);
  for (const name of [...ledgerFiles, ...targetFiles].toSorted().filter((file) => file < upTo)) {
    const text = await readFile(path.join(folderOf(name), name), 'utf8');
    await client.query(text);
    const checksum = createHash('sha256').update(text).digest('hex');
    await client.query(`insert into keystride.schema_migration values ('migration', $1, $2, '2026-01-02')`, [
      name,
      checksum,
    ]);
  }
}

test('takes over what release 0.1.0 applied, and applies nothing twice', async () => {
  await migrateAs010();
  await client.query(`insert into keystride.instance values ('a', 'b', '{}', 1, 'w', 'r', 'running')`);
  expect(await migrateLedger(database.url)).toEqual([]);
  expect(await migrateTables(database.url, targetMigrations)).toEqual([]);
  expect(await recorded('ledger')).toEqual(ledgerFiles);
  expect(await recorded('target')).toEqual(targetFiles);
  expect((await client.query('select epoch from keystride.instance')).rows).toEqual([{ epoch: '1' }]);
  // What an earlier release would look for when it migrates beside this one.
  expect(await recorded('migration')).toEqual([...ledgerFiles, ...targetFiles].toSorted());
  const { rows } = await client.query(
    'select distinct applied_at::date::text as at from keystride.schema_migration',
  );
  expect(rows).toEqual([{ at: '2026-01-02' }]);
});

test('goes on from an earlier state of that release, in several starts at once', async () => {
  await migrateAs010('0009');
  const all = await Promise.all(Array.from({ length: 3 }, () => migrateLedger(database.url)));
  expect(all.flat().toSorted()).toEqual(ledgerFiles.filter((name) => name > '0009'));
  expect(await migrateTables(database.url, targetMigrations)).toEqual([]);
});

test('has the same tables after an upgrade as in a new database', async () => {
  await migrateAs010('0009');
  await migrateLedger(database.url);
  const upgraded = await shapeOf('keystride');
  await client.query('drop schema keystride cascade');
  await migrateLedger(database.url);
  expect(upgraded).toBe(await shapeOf('keystride'));
});

test('lets several starts at once all succeed, and applies each file once', async () => {
  const all = await Promise.all(Array.from({ length: 4 }, () => migrateLedger(database.url)));
  expect(all.flat().toSorted()).toEqual(ledgerFiles);
});

test('workers of an earlier release are reckoned with until somebody says that there are none', async () => {
  const level = async () => (await client.query('select level from keystride.ledger')).rows;
  await migrateAs010('0009');
  await migrateLedger(database.url);
  expect(await level()).toEqual([{ level: 0 }]);
  await migrateLedger(database.url, { olderWorkers: false });
  await migrateLedger(database.url);
  expect(await level()).toEqual([{ level: presentLevel }]);
  // One that is made now has met none.
  await client.query('drop schema keystride cascade');
  await migrateLedger(database.url);
  expect(await level()).toEqual([{ level: presentLevel }]);
});

test('works through a pooler that gives each transaction another connection, and leaves no lock there', async () => {
  const pooler = await TransactionPooler.start(database.url, 3);
  const pooled = pooler.urlOf(database.url);
  try {
    const both = await Promise.all([migrateLedger(pooled), migrateLedger(pooled)]);
    expect(both.flat().toSorted()).toEqual(ledgerFiles);
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
  await migrateLedger(database.url);
  await client.query(`update keystride.schema_migration set checksum = 'another' where name like '0008%'`);
  await expect(migrateLedger(database.url)).rejects.toThrow(
    /0008_dead_letter\.sql was applied with another content .*restore the file/,
  );
});

test('leaves nothing of a file that fails, and says which one it was', async () => {
  await client.query('create table public.preprocess_job ()');
  await expect(migrateTables(database.url, targetMigrations)).rejects.toThrow(
    /0002_documents\.sql: relation "preprocess_job" already exists/,
  );
  const { rows } = await client.query(`select to_regclass('migration_target') as target`);
  expect(rows).toEqual([{ target: null }]);
  await client.query('drop table public.preprocess_job');
  expect(await migrateTables(database.url, targetMigrations)).toEqual(targetFiles);
});

test('refuses the name of the ledger, a folder that is not there, and an SQL file without a number', async () => {
  await expect(migrateTables(database.url, { name: 'ledger', folder })).rejects.toThrow(
    /give those of .* another/,
  );
  const missing = path.join(folder, 'nowhere');
  await expect(migrateTables(database.url, { name: 'shop', folder: missing })).rejects.toThrow(
    /nowhere cannot be read \(ENOENT\): correct the path/,
  );
  await copyFile(path.join(ledgerFolder, ledgerFiles[0] ?? ''), path.join(folder, '1-orders.sql'));
  await expect(migrateTables(database.url, own())).rejects.toThrow(
    /1-orders\.sql has no place .* 0001_orders\.sql/,
  );
});

test('names the database and the grant that a role lacks, and no credentials', async () => {
  const role = `migrate_test_${process.pid}`;
  await client.query(`create role ${role} login password 'hidden-word'`);
  try {
    await migrateTables(database.url, targetMigrations);
    await client.query(`revoke create on schema public from public`);
    await client.query(`grant usage on schema keystride to ${role}`);
    await client.query(`grant select on keystride.schema_migration to ${role}`);
    const url = new URL(database.url);
    Object.assign(url, { username: role, password: 'hidden-word' });
    expect(await migrateTables(url.href, targetMigrations)).toEqual([]);
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
  await expect(migrateLedger('postgres://user:hidden-word@127.0.0.1:1/nowhere')).rejects.toThrow(
    /^Cannot migrate the database 127\.0\.0\.1:1\/nowhere: connect ECONNREFUSED/,
  );
});
