import { existsSync } from 'node:fs';
import path from 'node:path';

/** The directory that holds our package.json. */
export const packageRoot = findPackageRoot(import.meta.dirname);

/**
 * The file of one of our modules, to be run as a program: TypeScript in a checkout, JavaScript in a build.
 * @param name relative to `src`, without extension, such as `dev/watchdog`
 */
export function ourModule(name: string): string {
  return path.join(path.dirname(import.meta.dirname), `${name}${path.extname(import.meta.filename)}`);
}

function findPackageRoot(directory: string): string {
  if (existsSync(path.join(directory, 'package.json'))) return directory;
  const parent = path.dirname(directory);
  if (parent === directory) throw new Error('no package.json above the program');
  return findPackageRoot(parent);
}
