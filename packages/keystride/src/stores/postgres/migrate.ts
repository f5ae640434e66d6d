import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { ToldError } from '../../contract/errors.ts';
import { safeMessage } from '../safe-message.ts';
import { SessionClient } from './session.ts';

/** Numbered SQL files, and the name under which they are recorded. */
export interface MigrationSet {
  readonly name: string;
  readonly folder: string;
}

interface MigrationFile {
  name: string;
  text: string;
  checksum: string;
}

/** Resolves to src/sql when run from source and to dist/sql after a build, which copies the files there. */
const ledger: MigrationSet = {
  name: 'ledger',
  folder: fileURLToPath(new URL('../../sql/', import.meta.url)),
};

/** Any number works as long as every keystride uses the same one; advisory locks are per database. */
const ADVISORY_LOCK = 5_397_412_881;

/** How long a start waits for another one that is migrating, or for a table that someone holds. */
const LOCK_TIMEOUT_MILLISECONDS = 60_000;

const INSUFFICIENT_PRIVILEGE = '42501';
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Brings a database up to date: runs the numbered files of a set that it has not seen yet, in order, each in
 * a transaction of its own, and records them in `keystride.schema_migration`.
 *
 * Two starts at once are safe: each file is applied once, whoever of them comes first. The lock is one of the
 * transaction, and what has been applied is read again under it: a pooler that gives each transaction another connection
 * to the server would keep the lock of a session, or lose it. Where nothing is left to do, a role that may only read
 * `keystride.schema_migration` is enough. Files recorded by a newer release
 * are left alone, so that old and new workers can run side by side during a deployment.
 *
 * @returns the names of the files applied by this call, in order; empty when the database was up to date
 * @throws ToldError when an applied file has changed since, when the role lacks a right (the message names the
 *   database, never the credentials, and the grant that helps), or when a statement fails
 */
export async function migrateTables(connectionString: string, set: MigrationSet): Promise<string[]> {
  const files = await readMigrationFiles(set.folder);
  const client = new SessionClient({ connectionString, application_name: 'keystride migrate' });
  const place = `${client.host}:${client.port}/${client.database ?? ''}`;
  // A server that goes away between two statements must reach us as the failed statement, not as a crash.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await applyMissing(client, set.name, files);
  } catch (error) {
    throw explain(error, place, client.database ?? '', client.user ?? '');
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Makes or updates the ledger. */
export function migrateLedger(connectionString: string): Promise<string[]> {
  return migrateTables(connectionString, ledger);
}

async function readMigrationFiles(directory: string): Promise<MigrationFile[]> {
  const names = (await readdir(directory)).filter((name) => /^\d{4}_\w+\.sql$/.test(name)).toSorted();
  return Promise.all(names.map((name) => readMigrationFile(directory, name)));
}

async function readMigrationFile(directory: string, name: string): Promise<MigrationFile> {
  // A checkout with CRLF line ends is the same migration.
  const text = (await readFile(path.join(directory, name), 'utf8')).replaceAll('\r\n', '\n');
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

async function applyMissing(client: pg.Client, set: string, files: MigrationFile[]): Promise<string[]> {
  const missing = await underLock(client, async () => {
    await ensureHistoryTable(client);
    return missingOf(files, await readHistory(client, set));
  });
  const applied: string[] = [];
  for (const file of missing) if (await applyFile(client, set, file)) applied.push(file.name);
  return applied;
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

async function readHistory(client: pg.Client, set: string): Promise<Map<string, string>> {
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
async function applyFile(client: pg.Client, set: string, file: MigrationFile): Promise<boolean> {
  try {
    return await underLock(client, async () => {
      if (missingOf([file], await readHistory(client, set)).length === 0) return false;
      await client.query(file.text);
      await client.query('insert into keystride.schema_migration (set, name, checksum) values ($1, $2, $3)', [
        set,
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
