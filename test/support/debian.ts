import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { findExecutable } from '../../packages/keystride/src/dev/executables.ts';
import { cacheOf } from '../../packages/keystride/src/settings/places.ts';

/** How to run a program: where it is, and what it needs to find its libraries. */
export interface Program {
  readonly executablePath: string;
  readonly env?: Record<string, string>;
}

/**
 * A program of this machine, by any of its names; where there is none, Debian's package, installed by root or unpacked
 * beside our other programs by anybody else.
 */
export function programOf(
  names: readonly string[],
  debian: { readonly name: string; readonly file: string },
): Program {
  const found = names.map((name) => findExecutable(name)).find((file) => file !== undefined);
  if (found !== undefined) return { executablePath: found };
  return process.getuid?.() === 0 ? installed(debian) : unpacked(debian);
}

function installed({ name, file }: { readonly name: string; readonly file: string }): Program {
  process.stderr.write(`${name.padEnd(15)} installing the Debian package (once) …\n`);
  // Lists that are old, or none: the package may have moved.
  execFileSync('apt-get', ['update'], { stdio: 'ignore' });
  execFileSync('apt-get', ['install', '-y', '--no-install-recommends', name], { stdio: 'ignore' });
  return { executablePath: path.join('/', file) };
}

/** Without root nothing can be installed: the packages that are missing are unpacked into a directory of ours. */
function unpacked({ name, file }: { readonly name: string; readonly file: string }): Program {
  const root = path.join(cacheOf(process.env), name);
  const executablePath = path.join(root, file);
  if (!existsSync(executablePath)) {
    process.stderr.write(`${name.padEnd(15)} unpacking the Debian package into ${root} (once) …\n`);
    // Aside first: what is unpacked in part is not to be taken for the whole the next time.
    const aside = `${root}.${process.pid}`;
    mkdirSync(aside, { recursive: true });
    unpackInto(aside, name);
    rmSync(root, { recursive: true, force: true });
    renameSync(aside, root);
  }
  const libraries = execFileSync('find', [path.join(root, 'usr/lib'), '-name', '*.so*', '-printf', '%h\n'], {
    encoding: 'utf8',
  });
  const LD_LIBRARY_PATH = [...new Set(libraries.trim().split('\n'))].join(':');
  return { executablePath, env: { ...(process.env as Record<string, string>), LD_LIBRARY_PATH } };
}

function unpackInto(directory: string, name: string): void {
  const missing = withDependencies(name).filter((one) => !isInstalled(one));
  execFileSync('apt-get', ['download', ...missing], { cwd: directory, stdio: 'ignore' });
  for (const archive of readdirSync(directory).filter((entry) => entry.endsWith('.deb')))
    execFileSync('dpkg', ['-x', path.join(directory, archive), directory]);
}

function withDependencies(name: string): string[] {
  const words = ['depends', '--recurse', '--no-recommends', '--no-suggests', '--no-conflicts', '--no-breaks'];
  const text = execFileSync(
    'apt-cache',
    [...words, '--no-replaces', '--no-enhances', '--no-pre-depends', name],
    {
      encoding: 'utf8',
    },
  );
  return [...new Set(text.split('\n').filter((line) => /^[a-z\d][a-z\d.+-]*$/u.test(line)))];
}

function isInstalled(name: string): boolean {
  try {
    return /^Status: install ok installed$/mu.test(
      execFileSync('dpkg', ['-s', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } catch {
    return false;
  }
}
