import { execFile } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '../..');

/** Makes a directory a project that is compiled as the repository is. @param include the folders or files of it */
export function asProject(directory: string, include: readonly string[]): void {
  symlinkSync(path.join(root, 'node_modules'), path.join(directory, 'node_modules'));
  writeFileSync(path.join(directory, 'package.json'), '{"type":"module"}');
  const tsconfig = { extends: path.join(root, 'tsconfig.json'), include };
  writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify(tsconfig));
}

/** What the compiler says of a project, a line each. */
export function complaintsOf(directory: string): Promise<string[]> {
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [tsc, '--noEmit', '--pretty', 'false'],
      { cwd: directory },
      (_, stdout, stderr) => resolve((stdout + stderr).split('\n').filter((line) => line !== '')),
    );
  });
}
