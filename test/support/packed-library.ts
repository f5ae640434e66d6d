import { execFileSync } from 'node:child_process';
import path from 'node:path';

const root = path.join(import.meta.dirname, '../..');
const library = path.join(root, 'packages/keystride');

/** Builds and packs the library as it is published, all within the directory. @returns the path of the tarball */
export function packedLibrary(directory: string): string {
  const dist = path.join(directory, 'dist');
  execFileSync(process.execPath, [path.join(library, 'scripts/build.ts'), dist], {
    cwd: root,
    stdio: 'pipe',
  });
  const env = {
    ...process.env,
    PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env['PATH']}`,
  };
  const words = ['pack', dist, '--pack-destination', directory, '--json'];
  const said = execFileSync('npm', words, { cwd: directory, env, encoding: 'utf8', stdio: 'pipe' });
  const [file] = /[\w.-]+\.tgz/u.exec(said) ?? [];
  if (file === undefined) throw new Error(`nothing was packed: ${said}`);
  return path.join(directory, file);
}
