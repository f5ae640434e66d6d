import { homedir } from 'node:os';
import path from 'node:path';

/** Where the state of a stack lives: `KEYSTRIDE_HOME`, for root `/var/lib/keystride`, else `~/.keystride`. */
export function homeOf(env: NodeJS.ProcessEnv): string {
  const chosen = env['KEYSTRIDE_HOME'];
  if (chosen !== undefined && chosen !== '') return path.resolve(chosen);
  // Root's own home is closed to the user that PostgreSQL must run as.
  return process.getuid?.() === 0 ? '/var/lib/keystride' : path.join(env['HOME'] ?? homedir(), '.keystride');
}

/** Where fetched and built programs and compiled code live: `KEYSTRIDE_CACHE`, else `cache` below the home. */
export function cacheOf(env: NodeJS.ProcessEnv): string {
  const chosen = env['KEYSTRIDE_CACHE'];
  return chosen !== undefined && chosen !== '' ? path.resolve(chosen) : path.join(homeOf(env), 'cache');
}
