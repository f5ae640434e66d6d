import { existsSync } from 'node:fs';
import type { Config } from '../settings/config.ts';
import { shellWord } from '../contract/shell.ts';
import { findExecutable } from '../dev/executables.ts';
import { placeInCache, temporalCli } from '../settings/fetched-programs.ts';

/** Temporal's own command as it works here: the one of the shell, or ours, at the server that we talk to. */
export function temporalCommand(
  { temporal: { address, namespace }, cache }: Pick<Config<'temporal'>, 'temporal' | 'cache'>,
  ...words: readonly string[]
): string {
  const fetched = placeInCache(cache, temporalCli);
  const program = findExecutable('temporal') === undefined && existsSync(fetched) ? fetched : 'temporal';
  const place = ['--address', address, ...(namespace === 'default' ? [] : ['--namespace', namespace])];
  return [program, ...words, ...place].map(shellWord).join(' ');
}
