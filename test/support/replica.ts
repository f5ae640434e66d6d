import { chownSync, cpSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { unprivilegedUser } from '../../packages/keystride/src/dev/places.ts';
import { postgresBinaries } from '../../packages/keystride/src/dev/postgres-binaries.ts';
import { freePort } from '../../packages/keystride/src/dev/ports.ts';
import { reporterOf } from '../../packages/keystride/src/dev/progress.ts';
import { probePostgres } from '../../packages/keystride/src/dev/postgres.ts';
import { type ProcessOwner, ServerProcess } from '../../packages/keystride/src/dev/server-process.ts';

/** A streaming replica of a PostgreSQL server. */
export interface Replica {
  /** The connection string of the primary's database, on the replica. */
  readonly url: string;
  /** Its process. */
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

/** What the base backup leaves out: it is of the running primary alone, or begins empty. */
const ofThePrimary =
  /^(postmaster\.(pid|opts)|(pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)\/.+)$/u;

/**
 * Makes a replica beside a primary of our own, by the low-level backup API: the embedded PostgreSQL has no
 * `pg_basebackup`. The primary runs on this machine, and its url names a superuser.
 */
export async function startReplica(
  primaryUrl: string,
  cache: string,
  owner: ProcessOwner,
  settings: readonly string[] = [],
): Promise<Replica> {
  const user = unprivilegedUser();
  const { postgres } = postgresBinaries(
    cache,
    user,
    reporterOf('replica', () => {}),
  );
  const data = await baseBackup(primaryUrl);
  const primary = new URL(primaryUrl);
  const url = new URL(primaryUrl);
  url.port = String(await freePort());
  const told = [
    `primary_conninfo=host=${primary.hostname} port=${primary.port} user=${primary.username} password=${primary.password} application_name=replica`,
    // A standby must be able to follow everything that its primary may do.
    ...['max_connections=200', 'max_wal_senders=30', 'shared_buffers=16MB', 'listen_addresses=127.0.0.1'],
    ...['unix_socket_directories=', ...settings],
  ];
  const server = new ServerProcess(
    {
      name: 'replica',
      command: postgres,
      arguments: ['-D', data, '-p', url.port, ...told.flatMap((setting) => ['-c', setting])],
      environment: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
      workingDirectory: data,
      ...(user && { user: { uid: user.uid, gid: user.gid } }),
      logFile: `${data}.log`,
      probe: () => probePostgres(url.href),
      readyWithinMs: 30_000,
      stopSignal: 'SIGINT',
      stopWithinMs: 10_000,
    },
    owner,
  );
  await server.start();
  return {
    url: url.href,
    get pid() {
      return server.pid;
    },
    stop: async () => {
      await server.stop();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** Copies the primary's files beside them. @returns the directory */
async function baseBackup(primaryUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: primaryUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory');
    const from = rows[0]?.data_directory ?? '';
    const to = `${from}-replica`;
    await client.query("SELECT pg_backup_start('replica', true)");
    mkdirSync(to, { mode: 0o700 });
    const kept = (file: string) => !ofThePrimary.test(path.relative(from, file));
    cpSync(from, to, { recursive: true, filter: kept });
    const ended = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)');
    writeFileSync(path.join(to, 'backup_label'), ended.rows[0]?.labelfile ?? '');
    writeFileSync(path.join(to, 'standby.signal'), '');
    giveToOwnerOf(from, to);
    return to;
  } finally {
    await client.end();
  }
}

/** As root the servers run as another user, and so do their files belong to him. */
function giveToOwnerOf(example: string, directory: string): void {
  const { uid, gid } = statSync(example);
  if (uid === process.getuid?.()) return;
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  for (const name of ['', ...names]) chownSync(path.join(directory, name), uid, gid);
}
