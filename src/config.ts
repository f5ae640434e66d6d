import { homedir } from 'node:os';
import path from 'node:path';
import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig';
import { z } from 'zod';
import type { AlertSettings } from './contract/alerts.ts';
import { isRunning, readState, type KnownAddresses } from './dev/state.ts';

/** How to reach Temporal: the options go to `Connection.connect` and `NativeConnection.connect` as they are. */
export interface TemporalConfig {
  address: string;
  namespace: string;
  connectionOptions: ClientConnectConfig['connectionOptions'] & { address: string };
}

/** The settings that not every command needs; a caller names those that it does. */
export interface Addresses {
  /** `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE` and what else `temporal.toml` and its variables know. */
  temporal: TemporalConfig;
  /** `DATABASE_URL`: the migration database, target of the jobs and home of the ledger. */
  databaseUrl: string;
  /** `SOURCE_DATABASE_URL`: the service database. */
  sourceDatabaseUrl: string;
  /** `MONGODB_URL` */
  mongodbUrl: string;
  /** `LEGACY_API_URL` */
  legacyApiUrl: string;
  /** `MESSAGE_PROVIDER_URL`: for the jobs that send messages. */
  messageProviderUrl: string;
  /** `TEMPORAL_UI_URL`: where links to runs point. */
  temporalUiUrl: string;
}

/** The name of a setting that a caller may need. */
export type Need = keyof Addresses;

/** The settings that always have a value, or never must have one. */
export interface BaseConfig {
  /** `KEYSTRIDE_HOME`: state of the development stack. */
  home: string;
  /** `KEYSTRIDE_CACHE`: fetched and built programs. */
  cache: string;
  /** `KEYSTRIDE_TASK_QUEUE` @default keystride */
  taskQueue: string;
  /** `LOG_LEVEL` @default info */
  logLevel: LogLevel;
  /** `KEYSTRIDE_WORKFLOW_BUNDLE`: path of a prebuilt bundle. */
  workflowBundle?: string;
  /** `KEYSTRIDE_BYTES_IN_FLIGHT`: bound on the documents held in memory, in bytes. @default 256 MiB */
  bytesInFlight: number;
  /** `KEYSTRIDE_DEPLOYMENT` and `KEYSTRIDE_BUILD_ID`: with them, a run stays with the build that began it. */
  build?: WorkerBuild;
  /** `ALERT_WEBHOOK_URL`, `DEAD_LETTER_WEBHOOK_URL` and `ALERT_FORMAT` @default nobody, json */
  alerts: AlertSettings;
  /** `KEYSTRIDE_FAULTS`: faults that a worker inflicts on itself, set by `keystride prove` alone. */
  faults?: string;
}

/** What Temporal knows a build of the workers by. */
export interface WorkerBuild {
  /** The workers that replace one another. */
  deployment: string;
  /** One release of them. */
  buildId: string;
}

/** Everything from the environment, with the settings `N` present. */
export type Config<N extends Need = never> = BaseConfig & Partial<Addresses> & Pick<Addresses, N>;

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

/** pino's levels. */
export type LogLevel = (typeof logLevels)[number];

/** One setting that stops us. */
export interface ConfigProblem {
  variable: string;
  problem: string;
}

/** Settings are missing or malformed: all of them at once, secrets left out. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];
  /** What to do about all of it. */
  readonly todo: string;

  constructor(problems: readonly ConfigProblem[], todo: string) {
    super(`${problems.map(({ variable, problem }) => `${variable} ${problem}`).join('; ')}. ${todo}`);
    this.problems = problems;
    this.todo = todo;
  }
}

/**
 * Reads every setting: from the environment, for Temporal then from `temporal.toml`, and last from the stack that runs
 * in the home directory. This is the one place that reads the environment.
 * @param needs settings that must be there
 * @param options.ignoreStack leaves the running stack out
 * @throws ConfigError naming every variable that is missing or malformed
 */
export function loadConfig<const N extends Need = never>(
  env: NodeJS.ProcessEnv = process.env,
  needs: readonly N[] = [],
  options: { ignoreStack?: boolean } = {},
): Config<N> {
  const { settings, problems } = parseEnvironment(env);
  const home = homeOf(env);
  const stack: StackOfHome = options.ignoreStack ? { addresses: {} } : stackOf(home);
  const temporal = readTemporal(env, stack.addresses, problems);
  const addresses: Partial<Addresses> = defined({
    temporal,
    databaseUrl: settings.DATABASE_URL ?? stack.addresses.databaseUrl,
    sourceDatabaseUrl: settings.SOURCE_DATABASE_URL ?? stack.addresses.sourceDatabaseUrl,
    mongodbUrl: settings.MONGODB_URL ?? stack.addresses.mongodbUrl,
    legacyApiUrl: settings.LEGACY_API_URL ?? stack.addresses.legacyApiUrl,
    messageProviderUrl: settings.MESSAGE_PROVIDER_URL ?? stack.addresses.messageProviderUrl,
    temporalUiUrl: settings.TEMPORAL_UI_URL ?? stack.addresses.temporalUiUrl,
  });
  const build = buildOf(settings, problems);
  refuseProblems(problems, addresses, needs, stack.leftOver);
  const config: BaseConfig & Partial<Addresses> = {
    home,
    cache: cacheOf(env),
    taskQueue: settings.KEYSTRIDE_TASK_QUEUE ?? 'keystride',
    logLevel: settings.LOG_LEVEL ?? 'info',
    bytesInFlight: settings.KEYSTRIDE_BYTES_IN_FLIGHT ?? 256 * 1024 * 1024,
    alerts: {
      format: settings.ALERT_FORMAT ?? 'json',
      ...defined({
        webhookUrl: settings.ALERT_WEBHOOK_URL,
        deadLetterUrl: settings.DEAD_LETTER_WEBHOOK_URL,
      }),
    },
    ...defined({
      workflowBundle: settings.KEYSTRIDE_WORKFLOW_BUNDLE,
      faults: settings.KEYSTRIDE_FAULTS,
      build,
    }),
    ...addresses,
  };
  // refuseProblems has thrown if one of the needs is not there, which the compiler cannot follow.
  return config as Config<N>;
}

/**
 * An address as it may be shown: user, password and secret parameters taken out. Whatever does not look like a URL is
 * not shown at all, since a password may stand anywhere in it.
 */
export function withoutCredentials(address: string): string {
  if (/^[\w.-]+:\d+$/.test(address)) return address;
  const [, scheme, rest = ''] = /^([a-z][a-z0-9+.-]*:\/\/)(.*)$/is.exec(address) ?? [];
  if (scheme === undefined) return '(not shown: not a URL)';
  const [place = '', ...query] = rest.split('?');
  // Up to the last @, since a password that was not encoded may hold an @ or a slash of its own.
  const shown = place.slice(place.lastIndexOf('@') + 1);
  const parameters = query
    .join('?')
    .split('&')
    .filter(
      (parameter) => parameter !== '' && !/pass|secret|token|key|user|auth.*properties/i.test(parameter),
    );
  return `${scheme}${shown}${parameters.length === 0 ? '' : `?${parameters.join('&')}`}`;
}

/** Where the state of a stack lives: `KEYSTRIDE_HOME`, for root `/var/lib/keystride`, else `~/.keystride`. */
export function homeOf(env: NodeJS.ProcessEnv): string {
  const chosen = env['KEYSTRIDE_HOME'];
  if (chosen !== undefined && chosen !== '') return path.resolve(chosen);
  // Root's own home is closed to the user that PostgreSQL must run as.
  return process.getuid?.() === 0 ? '/var/lib/keystride' : path.join(env['HOME'] ?? homedir(), '.keystride');
}

/** Where fetched and built programs live: `KEYSTRIDE_CACHE`, else `cache` below the home. */
export function cacheOf(env: NodeJS.ProcessEnv): string {
  const chosen = env['KEYSTRIDE_CACHE'];
  return chosen !== undefined && chosen !== '' ? path.resolve(chosen) : path.join(homeOf(env), 'cache');
}

const variables: Record<Need, string> = {
  temporal: 'TEMPORAL_ADDRESS',
  databaseUrl: 'DATABASE_URL',
  sourceDatabaseUrl: 'SOURCE_DATABASE_URL',
  mongodbUrl: 'MONGODB_URL',
  legacyApiUrl: 'LEGACY_API_URL',
  messageProviderUrl: 'MESSAGE_PROVIDER_URL',
  temporalUiUrl: 'TEMPORAL_UI_URL',
};

/** A URL of one of these schemes; what is shown of a wrong one holds no credentials. */
function url(pattern: RegExp, example: string) {
  return z.string().refine((value) => pattern.test(value), {
    error: ({ input }) => `is not like ${example}: ${withoutCredentials(String(input))}`,
  });
}

const postgresUrl = url(/^postgres(ql)?:\/\/[^/]+\/[^/?]+/, 'postgres://user@host:5432/database');
const httpUrl = url(/^https?:\/\/[^/:?#]+(:\d+)?([/?#].*)?$/, 'https://host:8080');

/** Temporal joins the two with a dot or a colon, and parts them at the first. */
const deploymentName = z
  .string()
  .regex(/^[^\s.:]+$/, { error: ({ input }) => `must hold no dot, colon or space: ${String(input)}` });

/** The address of a webhook is a secret: its path is what lets one in. */
const webhookUrl = z.string().refine((value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''), {
  error: 'is not like https://host/path; it is not shown, for it may hold a token',
});

const environmentSchema = z.object({
  DATABASE_URL: postgresUrl.optional(),
  SOURCE_DATABASE_URL: postgresUrl.optional(),
  MONGODB_URL: url(/^mongodb(\+srv)?:\/\/[^/]+/, 'mongodb://host:27017/database').optional(),
  LEGACY_API_URL: httpUrl.optional(),
  MESSAGE_PROVIDER_URL: httpUrl.optional(),
  TEMPORAL_UI_URL: httpUrl.optional(),
  KEYSTRIDE_TASK_QUEUE: z.string().optional(),
  KEYSTRIDE_WORKFLOW_BUNDLE: z.string().optional(),
  LOG_LEVEL: z
    .enum(logLevels, { error: ({ input }) => `is none of ${logLevels.join(', ')}: ${String(input)}` })
    .optional(),
  KEYSTRIDE_BYTES_IN_FLIGHT: z.string().transform(parseBytes).optional(),
  KEYSTRIDE_DEPLOYMENT: deploymentName.optional(),
  KEYSTRIDE_BUILD_ID: z.string().optional(),
  KEYSTRIDE_FAULTS: z.string().optional(),
  ALERT_WEBHOOK_URL: webhookUrl.optional(),
  ALERT_FORMAT: z
    .enum(['json', 'slack'], { error: ({ input }) => `is neither json nor slack: ${String(input)}` })
    .optional(),
  DEAD_LETTER_WEBHOOK_URL: webhookUrl.optional(),
});

type Settings = z.infer<typeof environmentSchema>;

const units: Record<string, number> = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** `268435456` or `256MiB`. */
function parseBytes(text: string, context: z.RefinementCtx): number {
  const [, digits, unit = ''] = /^(\d+)\s*(KiB|MiB|GiB)?$/.exec(text.trim()) ?? [];
  const bytes = Number(digits) * (units[unit] ?? 1);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  context.addIssue({ code: 'custom', message: `is not a size in bytes like 268435456 or 256MiB: ${text}` });
  return z.NEVER;
}

function parseEnvironment(env: NodeJS.ProcessEnv): { settings: Settings; problems: ConfigProblem[] } {
  const set = valuesOf(env);
  const problems = (environmentSchema.safeParse(set).error?.issues ?? []).map((issue) => ({
    variable: String(issue.path[0]),
    problem: issue.message,
  }));
  // What is well formed counts, so that one wrong setting does not make the others look missing.
  for (const { variable } of problems) delete set[variable];
  return { settings: environmentSchema.parse(set), problems };
}

/** Both or neither: a build without its deployment, or the reverse, would silently be no version at all. */
function buildOf(settings: Settings, problems: ConfigProblem[]): WorkerBuild | undefined {
  const { KEYSTRIDE_DEPLOYMENT: deployment, KEYSTRIDE_BUILD_ID: buildId } = settings;
  if (deployment !== undefined && buildId !== undefined) return { deployment, buildId };
  const malformed = problems.some(({ variable }) => variable === 'KEYSTRIDE_DEPLOYMENT');
  if ((deployment ?? buildId) === undefined || malformed) return undefined;
  const [missing, given] =
    buildId === undefined
      ? ['KEYSTRIDE_BUILD_ID', 'KEYSTRIDE_DEPLOYMENT']
      : ['KEYSTRIDE_DEPLOYMENT', 'KEYSTRIDE_BUILD_ID'];
  problems.push({ variable: missing, problem: `is not set, but ${given} is: set both or neither` });
  return undefined;
}

/** The environment and `temporal.toml`, as every Temporal tool reads them; without an address there, the stack. */
function readTemporal(
  env: NodeJS.ProcessEnv,
  stack: KnownAddresses,
  problems: ConfigProblem[],
): TemporalConfig | undefined {
  const given = givenTemporal(env, problems);
  const address = given?.connectionOptions.address;
  if (given !== undefined && address !== undefined) {
    if (!/^[^\s:/]+:\d+$|^\[[^\]]+\]:\d+$/.test(address))
      problems.push({
        variable: 'TEMPORAL_ADDRESS',
        problem: `is not like host:7233: ${withoutCredentials(address)}`,
      });
    const connectionOptions = { ...given.connectionOptions, address };
    return { address, namespace: given.namespace ?? 'default', connectionOptions };
  }
  if (stack.temporalAddress === undefined) return undefined;
  return {
    address: stack.temporalAddress,
    namespace: stack.temporalNamespace ?? 'default',
    connectionOptions: { address: stack.temporalAddress },
  };
}

function givenTemporal(env: NodeJS.ProcessEnv, problems: ConfigProblem[]): ClientConnectConfig | undefined {
  const overrideEnvVars = valuesOf(env);
  try {
    return loadClientConnectConfig({ overrideEnvVars });
  } catch (error) {
    const problem = `or the file temporal.toml cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    problems.push({ variable: 'TEMPORAL_*', problem });
    return undefined;
  }
}

interface StackOfHome {
  addresses: KnownAddresses;
  /** A stack is described whose supervisor is gone. */
  leftOver?: boolean;
}

function stackOf(home: string): StackOfHome {
  const state = readState(home);
  if (state === undefined) return { addresses: {} };
  return isRunning(state) ? { addresses: state.addresses } : { addresses: {}, leftOver: true };
}

function refuseProblems(
  malformed: readonly ConfigProblem[],
  addresses: Partial<Addresses>,
  needs: readonly Need[],
  leftOver = false,
): void {
  const known = new Set(malformed.map(({ variable }) => variable));
  const missing = needs
    .filter((need) => addresses[need] === undefined && !known.has(variables[need]))
    .map((need) => ({ variable: variables[need], problem: 'is not set' }));
  const problems = [...malformed, ...missing];
  if (problems.length === 0) return;
  throw new ConfigError(problems, todoFor(malformed.length > 0, missing, leftOver));
}

function todoFor(malformed: boolean, missing: readonly ConfigProblem[], leftOver: boolean): string {
  const names = missing.map(({ variable }) => variable).join(', ');
  const start = leftOver
    ? 'run `keystride dev --detach`: the stack that ran here has died'
    : 'run `keystride dev --detach`';
  if (malformed) return missing.length === 0 ? 'Correct it.' : `Correct it and set ${names}, or ${start}.`;
  return `Set ${names}, or ${start}.`;
}

/** The variables that are set; an empty one counts as not set. */
function valuesOf(env: NodeJS.ProcessEnv): Record<string, string> {
  const entries = Object.entries(env).flatMap(([name, value]) => (value ? [[name, value] as const] : []));
  return Object.fromEntries(entries);
}

/** Without the entries that are undefined. */
function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
