import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { ToldError } from '../contract/errors.ts';
import { safeMessage } from '../stores/safe-message.ts';
import { SessionClient } from '../stores/postgres/session.ts';
import { visitLedger } from './ledger.ts';
import { raiseLevel } from './level.ts';

/** Numbered SQL files of one owner: `0001_orders.sql`, `0002_coupons.sql`. */
export interface MigrationSet {
  /** What its files are recorded under. Files of two sets are never taken for each other, whatever their names. */
  readonly name: string;
  /** The path of the folder that they are in. */
  readonly folder: string;
  /** The name of the set until now: files of this folder that are recorded under it have been applied. */
  readonly formerly?: string;
}

/** Release 0.1.0 recorded the ledger's files in one set with those of the sample tables. */
const ledgerSet: MigrationSet = {
  name: 'ledger',
  folder: fileURLToPath(new URL('../sql/', import.meta.url)),
  formerly: 'migration',
};

/** With it a ledger is made. */
const firstFile = '0001_ledger.sql';

interface MigrationFile {
  name: string;
  text: string;
  checksum: string;
}

/** Any number works as long as every keystride uses the same one; advisory locks are per database. */
const ADVISORY_LOCK = 5_397_412_881;

/** How long a start waits for another one that is migrating, or for a table that someone holds. */
const LOCK_TIMEOUT_MILLISECONDS = 60_000;

const INSUFFICIENT_PRIVILEGE = '42501';
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Brings the ledger of a database up to date, as `migrateTables` does with tables of one's own. It touches schema
 * `keystride` and nothing else.
 *
 * @param options `olderWorkers` is false where no worker of an earlier release works with the ledger, or will. @default
 *   there may be some, but for a ledger that is made by this call
 */
export async function migrateLedger(
  connectionString: string,
  { olderWorkers = true }: { readonly olderWorkers?: boolean } = {},
): Promise<string[]> {
  const applied = await migrate(connectionString, ledgerSet);
  if (!olderWorkers || applied.includes(firstFile))
    await visitLedger({ connectionString, name: 'keystride migrate' }, raiseLevel);
  return applied;
}

/**
 * Brings tables of one's own up to date: runs the numbered files of a folder that the database has not seen yet, in
 * order, each in a transaction of its own, and records them in `keystride.schema_migration` under the set's name.
 *
 * Two starts at once are safe: each file is applied once, whoever of them comes first. The lock is one of the
 * transaction, and what has been applied is read again under it: a pooler that gives each transaction another connection
 * to the server would keep the lock of a session, or lose it. Where nothing is left to do, a role that may only read
 * `keystride.schema_migration` is enough. Files recorded by a newer release are left alone, so that old and new workers
 * can run side by side during a deployment.
 *
 * @returns the names of the files applied by this call, in order; empty when the database was up to date
 * @throws ToldError when the set has the ledger's name, a folder cannot be read or has an SQL file without a number, an
 *   applied file has changed since, the role lacks a right (the message names the database, never the credentials, and
 *   the grant that helps), or a statement fails
 */
export async function migrateTables(connectionString: string, set: MigrationSet): Promise<string[]> {
  if (set.name !== ledgerSet.name) return migrate(connectionString, set);
  throw new ToldError(
    `"${set.name}" is the name of keystride's own migrations: give those of ${set.folder} another`,
  );
}

/**
 * The files of a set that a database has not seen, by name, in order. Nothing is written.
 *
 * @param set @default the ledger's
 * @throws ToldError when an applied file has changed since, or the folder cannot be read; what the database answers
 */
export async function pendingMigrations(pool: pg.Pool, set: MigrationSet = ledgerSet): Promise<string[]> {
  const files = await readMigrationFiles(set.folder);
  const { rows } = await pool.query<{ there: boolean }>(
    `select to_regclass('keystride.schema_migration') is not null as there`,
  );
  if (!rows[0]?.there) return files.map(({ name }) => name);
  const own = await readHistory(pool, set.name);
  const former = own.size > 0 || set.formerly === undefined ? own : await readHistory(pool, set.formerly);
  return missingOf(files, former).map(({ name }) => name);
}

async function migrate(connectionString: string, set: MigrationSet): Promise<string[]> {
  const files = await readMigrationFiles(set.folder);
  const client = new SessionClient({ connectionString, application_name: 'keystride migrate' });
  const place = `${client.host}:${client.port}/${client.database ?? ''}`;
  // A server that goes away between two statements must reach us as the failed statement, not as a crash.
  try {
    await client.connect();
    return await applyMissing(client, set, files);
  } catch (error) {
    throw explain(error, place, client.database ?? '', client.user ?? '');
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function readMigrationFiles(folder: string): Promise<MigrationFile[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    throw new ToldError(`The migrations in ${folder} cannot be read (${error.code}): correct the path`, {
      cause: error,
    });
  });
  const files = names.filter((name) => name.endsWith('.sql')).toSorted();
  const odd = files.find((name) => !/^\d{4}_\w+\.sql$/.test(name));
  if (odd === undefined) return Promise.all(files.map((name) => readMigrationFile(folder, name)));
  throw new ToldError(
    `${path.join(folder, odd)} has no place among the migrations: call it like 0001_orders.sql, a number of four digits ` +
      'and then words of letters, digits and underscores',
  );
}

async function readMigrationFile(folder: string, name: string): Promise<MigrationFile> {
  // A checkout with CRLF line ends is the same migration.
  const text = (await readFile(path.join(folder, name), 'utf8')).replaceAll('\r\n', '\n');
  return { name, text, checksum: createHash('sha256').update(text).digest('hex') };
}

/** Does something in a transaction that no other migration of this database runs beside. */
async function underLock<Result>(client: pg.Client, work: () => Promise<Result>): Promise<Result> {
  await client.query('begin');
  try {
    await client.query(`set local lock_timeout = ${LOCK_TIMEOUT_MILLISECONDS}`);
    await client.query('select pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

async function applyMissing(client: pg.Client, set: MigrationSet, files: MigrationFile[]): Promise<string[]> {
  const missing = await underLock(client, async () => {
    await ensureHistoryTable(client);
    const applied = await readHistory(client, set.name);
    return missingOf(files, applied.size > 0 ? applied : await takeOver(client, set, files));
  });
  const applied: string[] = [];
  for (const file of missing) if (await applyFile(client, set, file)) applied.push(file.name);
  return applied;
}

/**
 * Records under a set's name what was recorded under its former one, when the set has nothing recorded yet. The former
 * rows stay: an earlier release that migrates beside this one finds all that it knows applied.
 *
 * @returns the history of the set.
 */
async function takeOver(
  client: pg.Client,
  { name, formerly }: MigrationSet,
  files: readonly MigrationFile[],
): Promise<Map<string, string>> {
  if (formerly === undefined) return new Map();
  const former = await readHistory(client, formerly);
  const known = files.flatMap((file) => (former.has(file.name) ? [file.name] : []));
  // Asked first: it takes a right that a role which only looks whether something is missing may not have.
  if (known.length === 0) return new Map();
  await client.query(
    `insert into keystride.schema_migration (set, name, checksum, applied_at)
     select $1, name, checksum, applied_at from keystride.schema_migration where set = $2 and name = any($3)`,
    [name, formerly, known],
  );
  return readHistory(client, name);
}

async function ensureHistoryTable(client: pg.Client): Promise<void> {
  // Asked first, because CREATE … IF NOT EXISTS needs the right to create even where there is nothing to create.
  const found = await client.query<{ schema: boolean; history: boolean }>(
    `select to_regnamespace('keystride') is not null as schema,
            to_regclass('keystride.schema_migration') is not null as history`,
  );
  if (!found.rows[0]?.schema) await client.query('create schema keystride');
  if (found.rows[0]?.history) return;
  await client.query(
    `create table keystride.schema_migration (
       set text not null,
       name text not null,
       checksum text not null,
       applied_at timestamptz not null default now(),
       primary key (set, name)
     )`,
  );
}

/** The files of a set that were applied, and what they held. */
async function readHistory(client: Pick<pg.Pool, 'query'>, set: string): Promise<Map<string, string>> {
  const { rows } = await client.query<{ name: string; checksum: string }>(
    'select name, checksum from keystride.schema_migration where set = $1',
    [set],
  );
  return new Map(rows.map((row) => [row.name, row.checksum]));
}

/** The files that the history does not have. @throws ToldError when one that it has was changed since */
function missingOf(files: MigrationFile[], applied: Map<string, string>): MigrationFile[] {
  for (const { name, checksum } of files) {
    const recorded = applied.get(name);
    if (recorded === undefined || recorded === checksum) continue;
    throw new ToldError(
      `${name} was applied with another content (sha256 ${recorded.slice(0, 12)}…, the file has ` +
        `${checksum.slice(0, 12)}…): restore the file and put the change into a new one with the next number`,
    );
  }
  return files.filter(({ name }) => !applied.has(name));
}

/** @returns false when another migration has applied it meanwhile */
async function applyFile(client: pg.Client, set: MigrationSet, file: MigrationFile): Promise<boolean> {
  try {
    return await underLock(client, async () => {
      if (missingOf([file], await readHistory(client, set.name)).length === 0) return false;
      await client.query(file.text);
      await client.query('insert into keystride.schema_migration (set, name, checksum) values ($1, $2, $3)', [
        set.name,
        file.name,
        file.checksum,
      ]);
      return true;
    });
  } catch (error) {
    throw new MigrationFileError(file.name, error);
  }
}

/** Carries the file's name up to the place that knows the database's. */
class MigrationFileError extends ToldError {
  constructor(name: string, cause: unknown) {
    super(`${name}: ${messageOf(cause)}`, { cause });
  }
}

function explain(error: unknown, place: string, database: string, user: string): Error {
  const failure = error instanceof MigrationFileError ? error.cause : error;
  const advice = adviceFor(failure, database, user);
  return new ToldError(`Cannot migrate the database ${place}: ${messageOf(error)}${advice}`, {
    cause: error,
  });
}

function adviceFor(failure: unknown, database: string, user: string): string {
  if (!(failure instanceof pg.DatabaseError)) return '';
  if (failure.code === INSUFFICIENT_PRIVILEGE) {
    const role = pg.escapeIdentifier(user);
    return (
      `. Run it as the owner of the database, or grant the role what it lacks: GRANT CREATE ON DATABASE ` +
      `${pg.escapeIdentifier(database)} TO ${role}; GRANT CREATE ON SCHEMA public TO ${role}; and, where ` +
      `another role made it, GRANT USAGE, CREATE ON SCHEMA keystride TO ${role}`
    );
  }
  if (failure.code === LOCK_NOT_AVAILABLE) {
    return '. Another migration, or a transaction on one of these tables, is still running: end it and try again';
  }
  return '';
}

function messageOf(error: unknown): string {
  return error instanceof ToldError ? error.message : safeMessage(error);
}
