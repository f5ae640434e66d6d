import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { PartError } from './part.ts';
import type { Reporter } from './progress.ts';

/** A user of this machine, as the kernel knows it. */
export interface SystemUser {
  name: string;
  uid: number;
  gid: number;
}

/**
 * The user that a server runs as which refuses to run as root: `postgres` where there is one, else `nobody`.
 * Undefined when we are not root and everything runs as ourselves.
 */
export function unprivilegedUser(): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const user = lookUpUser('postgres') ?? lookUpUser('nobody');
  if (user !== undefined) return user;
  throw new PartError({
    what: 'PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as',
    where: 'this machine',
    todo: 'Create one (`useradd --system postgres`), run as an ordinary user, or set DATABASE_URL and SOURCE_DATABASE_URL.',
  });
}

function lookUpUser(name: string): SystemUser | undefined {
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  try {
    return { name, uid: id('-u'), gid: id('-g') };
  } catch {
    return undefined;
  }
}

/** The nearest ancestor (or the directory itself) that this user cannot pass through; undefined when all can be. */
export function obstacleFor(user: SystemUser, directory: string): string | undefined {
  const parts = path.resolve(directory).split(path.sep).slice(1);
  const ancestors = ['/', ...parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`)];
  return ancestors.find((ancestor) => !mayPass(user, ancestor));
}

function mayPass(user: SystemUser, directory: string): boolean {
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) return true;
  const shift = stat.uid === user.uid ? 6 : stat.gid === user.gid ? 3 : 0;
  return ((stat.mode >> shift) & 0o1) !== 0;
}

/**
 * A directory below `home` that this user can reach; where that cannot be, one elsewhere, and a line that says so.
 *
 * The home itself is ours and is opened for passing through; a private directory above it is somebody's decision and
 * stays as it is.
 */
export function reachableDirectory(
  user: SystemUser | undefined,
  home: string,
  name: string,
  report: Reporter,
): string {
  const wanted = path.join(home, name);
  mkdirSync(home, { recursive: true });
  if (user === undefined) return wanted;
  if (obstacleFor(user, home) === path.resolve(home)) {
    chmodSync(home, statSync(home).mode | 0o011);
    report.note(`opened ${home} for passing through, for the user ${user.name}`);
  }
  const obstacle = obstacleFor(user, home);
  if (obstacle === undefined) return wanted;
  const mark = createHash('sha256').update(path.resolve(home)).digest('hex').slice(0, 12);
  const elsewhere = path.join('/var/lib/keystride/elsewhere', mark, name);
  report.note(`the user ${user.name} cannot pass ${obstacle}; ${name} is kept in ${elsewhere}`);
  mkdirSync(path.dirname(elsewhere), { recursive: true });
  // Whatever the umask was when these were made.
  for (const directory of ['..', '../..', '../../..']) chmodSync(path.join(elsewhere, directory), 0o755);
  return elsewhere;
}
