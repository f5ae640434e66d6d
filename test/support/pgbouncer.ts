import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findExecutable } from '../../packages/keystride/src/dev/executables.ts';
import { unprivilegedUser } from '../../packages/keystride/src/dev/places.ts';
import { freePort } from '../../packages/keystride/src/dev/ports.ts';
import { probePostgres } from '../../packages/keystride/src/dev/postgres.ts';
import { type ProcessOwner, ServerProcess } from '../../packages/keystride/src/dev/server-process.ts';

/** Where Debian puts it. Undefined where there is none. */
export const pgbouncer = findExecutable('pgbouncer', ['/usr/sbin']);

/** A PgBouncer in front of a server of ours. */
export interface Pooler {
  /** A connection string of the same database, by way of it. */
  urlOf(url: string): string;
  stop(): Promise<void>;
}

/**
 * Starts PgBouncer with `pool_mode = transaction`, in front of every database of the server that a url names.
 *
 * @param settings more lines of its section [pgbouncer]
 */
export async function startPgbouncer(
  url: string,
  owner: ProcessOwner,
  settings: readonly string[] = [],
): Promise<Pooler> {
  const { hostname, port, username, password } = new URL(url);
  const directory = mkdtempSync(path.join(tmpdir(), 'keystride-pgbouncer-'));
  const listens = await freePort();
  const users = path.join(directory, 'users');
  writeFileSync(users, `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`);
  const file = path.join(directory, 'pgbouncer.ini');
  const lines = [
    '[databases]',
    `* = host=${hostname} port=${port}`,
    '[pgbouncer]',
    ...['listen_addr = 127.0.0.1', `listen_port = ${listens}`, 'unix_socket_dir ='],
    ...['auth_type = scram-sha-256', `auth_file = ${users}`],
    ...['pool_mode = transaction', 'default_pool_size = 5', 'max_client_conn = 200', ...settings],
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const user = unprivilegedUser();
  chmodSync(directory, 0o700);
  if (user) for (const own of [directory, users, file]) chownSync(own, user.uid, user.gid);
  const urlOf = (of: string) =>
    Object.assign(new URL(of), { hostname: '127.0.0.1', port: String(listens) }).href;
  const server = new ServerProcess(
    {
      name: 'pgbouncer',
      command: pgbouncer ?? 'pgbouncer',
      arguments: [file],
      environment: process.env,
      workingDirectory: directory,
      ...(user && { user: { uid: user.uid, gid: user.gid } }),
      logFile: `${directory}.log`,
      probe: () => probePostgres(urlOf(url)),
      readyWithinMs: 20_000,
      stopSignal: 'SIGTERM',
      stopWithinMs: 5_000,
    },
    owner,
  );
  await server.start();
  return {
    urlOf,
    stop: async () => {
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
      rmSync(`${directory}.log`, { force: true });
    },
  };
}
