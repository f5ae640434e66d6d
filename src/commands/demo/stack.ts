import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  cacheOf,
  CommandError,
  type Config,
  homeOf,
  keystride,
  loadConfig,
  progressLine,
  loadProject,
} from 'keystride/command';
import {
  isRunning,
  type KnownAddresses,
  type OnProgress,
  progressText,
  reachableDirectory,
  readState,
  reporterOf,
  type StackState,
  unprivilegedUser,
  detachStack,
  startStack,
  stopStack,
} from 'keystride/testing';
import { Stub } from './stub.ts';

/** What a demo or a measurement runs on. */
export interface DemoParts {
  readonly config: DemoConfig;
  /** Whose data may be emptied: what the stack itself has started, and nobody else's. */
  readonly ours: { readonly postgres: boolean; readonly mongodb: boolean };
  /** It ran before we came, and others may be using it. */
  readonly adopted: boolean;
  /** Ends what was started for us alone. */
  stop(): Promise<void>;
}

/** All that a demo has to know. */
export type DemoConfig = Config<'temporal' | 'databaseUrl' | 'sourceDatabaseUrl' | 'mongodbUrl'> & {
  readonly legacyApiUrl: string;
  readonly consoleUrl?: string;
};

/** What to bring up. */
export interface DemoStackOptions {
  readonly workers: number;
  /** Leave it up at the end. */
  readonly keep: boolean;
  /** The directory that the stub serves; made-up documents without it. */
  readonly from: string | undefined;
  /** Keys that the stub must have. */
  readonly sampleKeys: readonly string[];
}

/**
 * The stack that runs, or a new one: in this process, or detached where it is to stay. A running one whose stub serves
 * other documents is started anew.
 * @throws PartError, ConfigError as `startStack`
 */
export async function bringUpDemo(options: DemoStackOptions): Promise<DemoParts> {
  const home = homeOf(process.env);
  const common = {
    home,
    cache: cacheOf(process.env),
    workers: options.workers,
    stubArguments: { legacyApi: options.from === undefined ? [] : ['--from', options.from] },
  };
  const project = await loadProject();
  const present = readState(home);
  const described = { ...common, project: project.file };
  if (present !== undefined && isRunning(present)) return adopt(described, options);
  if (options.keep) return detached(described, false);
  const stack = await startStack({ ...common, project, console: true, onProgress });
  return { ...partsOf(home, stack.info), adopted: false, stop: () => stack.stop() };
}

interface SupervisedOptions {
  home: string;
  cache: string;
  workers: number;
  project: string;
  stubArguments: { legacyApi: string[] };
}

async function adopt(common: SupervisedOptions, options: DemoStackOptions): Promise<DemoParts> {
  const parts = await detached(common, true);
  const stub = new Stub(parts.config.legacyApiUrl);
  if (await stub.serves(options.sampleKeys, options.from === undefined)) return parts;
  progressLine('the stub of the running stack serves other documents: starting the stack anew …');
  await stopStack(common.home);
  return detached(common, true);
}

async function detached(common: SupervisedOptions, adopted: boolean): Promise<DemoParts> {
  const state = await detachStack(common, onProgress);
  return { ...partsOf(common.home, state.addresses), adopted, stop: async () => undefined };
}

const onProgress: OnProgress = (event) => progressLine(progressText(event));

function partsOf(home: string, addresses: KnownAddresses): Pick<DemoParts, 'config' | 'ours'> {
  const config = configOf(addresses);
  const state = readState(home);
  return {
    config,
    ours: { postgres: isOurPostgres(home, config), mongodb: runs(state, 'mongodb') },
  };
}

/** The settings for a stack: its addresses, and the rest from the environment. */
export function configOf(addresses: KnownAddresses): DemoConfig {
  const given = loadConfig();
  const { temporalAddress, temporalNamespace, databaseUrl, sourceDatabaseUrl, mongodbUrl } = addresses;
  const legacyApiUrl = addresses.stubs?.['LEGACY_API_URL'];
  if (!temporalAddress || !databaseUrl || !sourceDatabaseUrl || !mongodbUrl || !legacyApiUrl)
    throw new CommandError({
      what: 'the running stack lacks a part',
      todo: `Run \`${keystride} dev stop\`, then try again.`,
    });
  const temporal =
    given.temporal?.address === temporalAddress
      ? given.temporal
      : {
          address: temporalAddress,
          namespace: temporalNamespace ?? 'default',
          connectionOptions: { address: temporalAddress },
        };
  const { temporalUiUrl, consoleUrl } = addresses;
  return {
    ...given,
    temporal,
    databaseUrl,
    sourceDatabaseUrl,
    mongodbUrl,
    legacyApiUrl,
    ...(temporalUiUrl !== undefined && { temporalUiUrl }),
    ...(consoleUrl !== undefined && { consoleUrl }),
  };
}

/** A stack lists a MongoDB among its processes only if it has started it. */
function runs(state: StackState | undefined, name: string): boolean {
  return state?.processes.some((process) => process.name === name) ?? false;
}

/**
 * Whether both databases are on the server of this home. Its password is random, so an address that holds it cannot
 * be anybody else's: the data there may be emptied.
 */
function isOurPostgres(home: string, { databaseUrl, sourceDatabaseUrl }: DemoConfig): boolean {
  const place = reachableDirectory(
    unprivilegedUser(),
    home,
    'postgres',
    reporterOf('postgres', () => undefined),
  );
  const file = path.join(place, 'password');
  if (!existsSync(file)) return false;
  const password = readFileSync(file, 'utf8').trim();
  return [databaseUrl, sourceDatabaseUrl].every(
    (url) => password !== '' && decodeURIComponent(new URL(url).password) === password,
  );
}
