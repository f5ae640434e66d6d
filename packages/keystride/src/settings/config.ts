import type { AlertSettings } from '../contract/alerts.ts';
import type { QuietHours } from '../contract/policy.ts';
import { codecServerOf, type CodecServerSettings } from './codec-server-settings.ts';
import { consoleOf, type ConsoleSettings } from './console-settings.ts';
import { type LogLevel, parseEnvironment, type Settings } from './environment.ts';
import type { ConfigProblem } from './secret-files.ts';
import type { EncryptionSettings } from './encryption-keys.ts';
import { cacheOf, homeOf } from './places.ts';
import type { HealthLimits } from '../stores/postgres/health.ts';
import type { KnownAddresses } from './stack-addresses.ts';
import type { TaskQueues } from './task-queues.ts';
import { readTemporal, refusePlaintext, type TemporalConfig } from './temporal-settings.ts';
import { type LoadTarget, queuesOf, targetOf } from './worker-settings.ts';
import { ToldError } from '../contract/errors.ts';

/** The settings that not every command needs; a caller names those that it does. */
export interface Addresses {
  /** `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE` and what else `temporal.toml` and its variables know. */
  temporal: TemporalConfig;
  /** `DATABASE_URL`: the target, which the jobs write to, and home of the ledger. */
  databaseUrl: string;
  /** `SOURCE_DATABASE_URL`: the source, which jobs may read. */
  sourceDatabaseUrl: string;
  /** `MONGODB_URL` */
  mongodbUrl: string;
  /** `TEMPORAL_UI_URL`: where links to runs point. */
  temporalUiUrl: string;
}

/** The name of a setting that a caller may need. */
export type Need = keyof Addresses;

/** The settings that always have a value, or never must have one. */
export interface BaseConfig extends TaskQueues {
  /** `KEYSTRIDE_HOME`: state of the development stack. */
  home: string;
  /** `KEYSTRIDE_CACHE`: fetched and built programs. */
  cache: string;
  /** `KEYSTRIDE_WORKER_QUEUES`: the task queues that a worker polls. @default all that runs go to */
  workerQueues: readonly string[];
  /** `KEYSTRIDE_ACTIVITIES`: pages and other activities that a worker has at a time. @default 100 */
  activities?: number;
  /** `KEYSTRIDE_CONNECTIONS`: connections that a worker opens to each database of PostgreSQL at most. @default 20 */
  connections: number;
  /** `KEYSTRIDE_TARGET_CPU` and `KEYSTRIDE_TARGET_MEMORY`: how far a worker may load its machine. @default any load */
  target?: LoadTarget;
  /** `LOG_LEVEL` @default info */
  logLevel: LogLevel;
  /** `KEYSTRIDE_WORKFLOW_BUNDLE`: path of a prebuilt bundle. */
  workflowBundle?: string;
  /** `KEYSTRIDE_BYTES_IN_FLIGHT`: bound on the documents held in memory, in bytes. @default 256 MiB */
  bytesInFlight: number;
  /** `KEYSTRIDE_QUIET_HOURS`: times in which the worker runs no pages. @default none */
  quietHours: readonly QuietHours[];
  /**
   * When pages wait for the databases: `KEYSTRIDE_HEALTH_REPLICATION_LAG`, `KEYSTRIDE_HEALTH_LOCK_WAITS`,
   * `KEYSTRIDE_HEALTH_ACTIVE_CONNECTIONS` and `KEYSTRIDE_HEALTH_QUERY`. @default never
   */
  health: HealthLimits;
  /** `KEYSTRIDE_METRICS`: where Prometheus scrapes a worker. @default nowhere */
  metricsAddress?: string;
  /** `KEYSTRIDE_HEALTH`: where a worker answers probes. @default nowhere */
  healthAddress?: string;
  /** `KEYSTRIDE_TRACES`: the collector of OpenTelemetry that a worker sends its spans to. @default nowhere */
  tracesAddress?: string;
  /** `KEYSTRIDE_DEPLOYMENT` and `KEYSTRIDE_BUILD_ID`: with them, a run stays with the build that began it. */
  build?: WorkerBuild;
  /** `ALERT_WEBHOOK_URL`, `DEAD_LETTER_WEBHOOK_URL` and `ALERT_FORMAT` @default nobody, json */
  alerts: AlertSettings;
  /** `KEYSTRIDE_CONSOLE` and what else begins with it. */
  console: ConsoleSettings;
  /** `KEYSTRIDE_PRIVATE_HOSTS`: where in private networks APIs and webhooks may be. @default nowhere but at numbers and localhost */
  privateHosts: readonly string[];
  /** `KEYSTRIDE_FORMER_NAMESPACES`: namespaces of Temporal that are gone, whose runs have ended with them. @default none */
  formerNamespaces: readonly string[];
  /** `KEYSTRIDE_CODEC_SERVER` and what else begins with it. */
  codecServer: CodecServerSettings;
  /**
   * `KEYSTRIDE_ENCRYPTION_KEYS` or `KEYSTRIDE_ENCRYPTION_KEYS_FILE`: with them, what goes to Temporal is encrypted.
   * @default as it is
   */
  encryption?: EncryptionSettings;
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

/** Settings are missing or malformed: all of them at once, secrets left out. */
export class ConfigError extends ToldError {
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

/** A development stack of whose addresses those are taken that nobody has named. */
export interface KnownStack {
  readonly addresses: KnownAddresses;
  /** It is described, but its supervisor is gone. */
  readonly leftOver?: boolean;
}

const noStack: KnownStack = { addresses: {} };

export interface LoadOptions {
  readonly stack?: KnownStack;
  readonly taskQueue?: string;
  readonly problems?: readonly ConfigProblem[];
}

/**
 * Reads every setting: from the environment, for Temporal then from `temporal.toml`, and last from a development stack
 * where one is given. This is the one place that reads the environment.
 * @param needs settings that must be there
 * @param options.stack a development stack: a worker never has one
 * @param options.taskQueue where runs go when the environment does not say
 * @param options.problems what is wrong with settings that somebody else has read: told with the others
 * @throws ConfigError naming every variable that is missing or malformed
 */
export function loadConfig<const N extends Need = never>(
  env: NodeJS.ProcessEnv = process.env,
  needs: readonly N[] = [],
  { stack = noStack, taskQueue, problems: others = [] }: LoadOptions = {},
): Config<N> {
  const { settings, problems } = parseEnvironment(env);
  const home = homeOf(env);
  const temporal = readTemporal(env, stack.addresses, problems);
  // What does not talk to Temporal sends nothing there.
  if (temporal && needs.some((need) => need === 'temporal'))
    refusePlaintext(temporal, settings.KEYSTRIDE_PLAINTEXT ?? [], problems);
  const addresses: Partial<Addresses> = defined({
    temporal,
    databaseUrl: settings.DATABASE_URL ?? stack.addresses.databaseUrl,
    sourceDatabaseUrl: settings.SOURCE_DATABASE_URL ?? stack.addresses.sourceDatabaseUrl,
    mongodbUrl: settings.MONGODB_URL ?? stack.addresses.mongodbUrl,
    temporalUiUrl: settings.TEMPORAL_UI_URL ?? stack.addresses.temporalUiUrl,
  });
  const build = buildOf(settings, problems);
  const encryption = encryptionOf(settings);
  const queues = queuesOf(settings, problems, taskQueue);
  const console = consoleOf(settings, problems);
  refuseProblems([...problems, ...others], addresses, needs, stack.leftOver);
  const config: BaseConfig & Partial<Addresses> = {
    home,
    cache: cacheOf(env),
    ...queues,
    console,
    codecServer: codecServerOf(settings, addresses.temporalUiUrl),
    logLevel: settings.LOG_LEVEL ?? 'info',
    connections: settings.KEYSTRIDE_CONNECTIONS ?? 20,
    privateHosts: settings.KEYSTRIDE_PRIVATE_HOSTS ?? [],
    formerNamespaces: settings.KEYSTRIDE_FORMER_NAMESPACES ?? [],
    bytesInFlight: settings.KEYSTRIDE_BYTES_IN_FLIGHT ?? 256 * 1024 * 1024,
    quietHours: settings.KEYSTRIDE_QUIET_HOURS ?? [],
    health: defined({
      replicationLagSeconds: settings.KEYSTRIDE_HEALTH_REPLICATION_LAG,
      lockWaits: settings.KEYSTRIDE_HEALTH_LOCK_WAITS,
      activeConnections: settings.KEYSTRIDE_HEALTH_ACTIVE_CONNECTIONS,
      query: settings.KEYSTRIDE_HEALTH_QUERY,
    }),
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
      metricsAddress: settings.KEYSTRIDE_METRICS,
      healthAddress: settings.KEYSTRIDE_HEALTH,
      tracesAddress: settings.KEYSTRIDE_TRACES,
      build,
      encryption,
      target: targetOf(settings),
      activities: settings.KEYSTRIDE_ACTIVITIES,
    }),
    ...addresses,
  };
  // refuseProblems has thrown if one of the needs is not there, which the compiler cannot follow.
  return config as Config<N>;
}

const variables: Record<Need, string> = {
  temporal: 'TEMPORAL_ADDRESS',
  databaseUrl: 'DATABASE_URL',
  sourceDatabaseUrl: 'SOURCE_DATABASE_URL',
  mongodbUrl: 'MONGODB_URL',
  temporalUiUrl: 'TEMPORAL_UI_URL',
};

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

/** The keys, with the file that they were read from, if it was one. */
export function encryptionOf({
  KEYSTRIDE_ENCRYPTION_KEYS: given,
  KEYSTRIDE_ENCRYPTION_KEYS_FILE: file,
}: Settings): EncryptionSettings | undefined {
  return given && { ...given, ...(file !== undefined && { file }) };
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
  throw new ConfigError(problems, todoFor(malformed, missing, leftOver));
}

function todoFor(
  malformed: readonly ConfigProblem[],
  missing: readonly ConfigProblem[],
  leftOver: boolean,
): string {
  const names = missing.map(({ variable }) => variable).join(', ');
  const start = leftOver
    ? 'run `npx keystride dev --detach`: the stack that ran here has died'
    : 'run `npx keystride dev --detach`';
  if (malformed.length === 0) return `Set ${names}, or ${start}.`;
  if (missing.length > 0) return `Correct it and set ${names}, or ${start}.`;
  return malformed.some(({ problem }) => problem === 'is not set') ? 'Correct it, or set it.' : 'Correct it.';
}

/** Without the entries that are undefined. */
function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
