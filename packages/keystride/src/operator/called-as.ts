import { realpathSync } from 'node:fs';
import path from 'node:path';
import { shellWord } from '../contract/shell.ts';

/** How a process was called. */
interface Call {
  readonly env: NodeJS.ProcessEnv;
  /** The program as the shell found it. */
  readonly program: string;
  readonly directory: string;
}

/**
 * How whoever reads a hint calls this command again: `keystride` where the shell finds it, `npx keystride` where npm did,
 * else the program's own path.
 */
export function calledAs({ env, program, directory }: Call): string {
  const throughNpm = env['npm_lifecycle_event'] !== undefined;
  // npm puts the programs of the project and its own in front; the shell that reads the hint does not have them.
  const ofTheShell = (env['PATH'] ?? '')
    .split(path.delimiter)
    .filter((entry) => entry !== '' && !(throughNpm && /node_modules[\\/]\.bin[\\/]?$/u.test(entry)));
  if (ofTheShell.some((entry) => isSameFile(path.join(entry, 'keystride'), program))) return 'keystride';
  if (throughNpm || path.basename(path.dirname(program)) === '.bin') return 'npx keystride';
  const relative = path.relative(directory, program);
  return `node ${shellWord(relative.startsWith('..') ? program : relative)}`;
}

function isSameFile(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return false;
  }
}

/** How this process was called. */
export const keystride = calledAs({
  env: process.env,
  program: process.argv[1] ?? 'keystride',
  directory: process.cwd(),
});

/** A text that says `keystride …`, as this process was called: for help, whose examples are written once. */
export function asCalled(text: string): string {
  return text.replaceAll(/(?<=^ +\$ (?:\w+=\S+ )?|[`(]|: )keystride(?= )/gmu, () => keystride);
}
