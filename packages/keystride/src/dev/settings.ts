import { type Config, loadConfig, type KnownStack, type Need } from '../settings/config.ts';
import { homeOf } from '../settings/places.ts';
import { isRunning, readState } from './state.ts';

/**
 * Every setting, as `loadConfig` reads it, and last from the stack that runs in the home directory: for commands and
 * whatever else a developer calls. A worker reads its environment alone.
 * @throws ConfigError naming every variable that is missing or malformed
 */
export function loadSettings<const N extends Need = never>(
  env: NodeJS.ProcessEnv = process.env,
  needs: readonly N[] = [],
): Config<N> {
  return loadConfig(env, needs, { stack: stackOf(homeOf(env)) });
}

/** Where the parts of the stack that runs in the home directory answer, by variable. */
export function addressesOfStack(env: NodeJS.ProcessEnv = process.env): Readonly<Record<string, string>> {
  const { databaseUrl, sourceDatabaseUrl, mongodbUrl, stubs = {} } = stackOf(homeOf(env)).addresses;
  const known = {
    DATABASE_URL: databaseUrl,
    SOURCE_DATABASE_URL: sourceDatabaseUrl,
    MONGODB_URL: mongodbUrl,
    ...stubs,
  };
  return Object.fromEntries(
    Object.entries(known).flatMap(([variable, url]) =>
      url === undefined || env[`${variable}_FILE`] ? [] : [[variable, url]],
    ),
  );
}

function stackOf(home: string): KnownStack {
  const state = readState(home);
  if (state === undefined) return { addresses: {} };
  return isRunning(state) ? { addresses: state.addresses } : { addresses: {}, leftOver: true };
}
