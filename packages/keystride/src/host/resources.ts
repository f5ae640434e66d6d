import { setTimeout as delay } from 'node:timers/promises';
import { NativeConnection } from '@temporalio/worker';
import type pg from 'pg';
import { ToldError } from '../contract/errors.ts';
import { Ledger } from '../ledger/ledger.ts';
import { readLevel } from '../ledger/level.ts';
import { safeMessage } from '../page/item-errors.ts';
import { type Config, ConfigError } from '../settings/config.ts';
import type { TemporalConfig } from '../settings/temporal-settings.ts';
import { withoutCredentials } from '../settings/environment.ts';
import { type ConfigProblem, valuesOf } from '../settings/secret-files.ts';
import { isRefused } from '../stores/postgres/errors.ts';
import { allowPrivateHosts } from '../stores/http/private-hosts.ts';
import { createPool } from '../stores/postgres/pool.ts';
import { databaseProblemOf } from '../stores/postgres/problems.ts';
import { UnusableSession } from '../stores/postgres/session.ts';
import { temporalProblemOf, tlsFailure } from './temporal-problem.ts';
import { UnreachablePart } from './unreachable-part.ts';
import type { Resource, ResourceContext, WorkerDefinition } from '../project/worker-definition.ts';
import { codeOf } from '../stores/causes.ts';

export type WorkerConfig = Config<'temporal' | 'databaseUrl'>;

/** The settings of a worker's resources, by resource and variable. */
export type ResourceSettings = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface OpenResources {
  readonly connection: NativeConnection;
  readonly database: pg.Pool;
  /** That the ledger carries. */
  readonly level: number;
  /** Each resource under its name. */
  readonly own: Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

/** How long a part may take to answer when the worker starts, in milliseconds. */
const patience = 15_000;

/** Reads the settings of all resources. @throws ConfigError naming every one that is missing or malformed */
export function resourceSettings(definition: WorkerDefinition, env: NodeJS.ProcessEnv): ResourceSettings {
  const problems: ConfigProblem[] = [];
  const settings = readResourceSettings(definition, env, problems);
  if (problems.length > 0) throw new ConfigError(problems, 'Correct it, or set it.');
  return settings;
}

/** The same, for whoever reads other settings besides; what is wrong is added to the problems. */
export function readResourceSettings(
  definition: WorkerDefinition,
  env: NodeJS.ProcessEnv,
  problems: ConfigProblem[],
): ResourceSettings {
  const names = Object.values(definition.resources).flatMap(({ variables = {} }) => Object.keys(variables));
  const given = valuesOf(env, names, problems);
  const settings = Object.entries(definition.resources).map(([name, { variables = {} }]) => {
    const values = Object.entries(variables).map(([variable, type]) => {
      const read = type.safeParse(given[variable]);
      if (read.success) return [variable, read.data] as const;
      const problem =
        given[variable] === undefined ? 'is not set' : (read.error.issues[0]?.message ?? 'is wrong');
      if (!problems.some((told) => told.variable === variable)) problems.push({ variable, problem });
      return [variable, undefined] as const;
    });
    return [name, Object.fromEntries(values)] as const;
  });
  return Object.fromEntries(settings);
}

/**
 * Connects to everything that the jobs work with, and looks whether it answers.
 *
 * @throws UnreachablePart
 */
export async function openResources(
  config: WorkerConfig,
  { resources }: WorkerDefinition,
  settings: ResourceSettings,
): Promise<OpenResources> {
  allowPrivateHosts(config.privateHosts);
  const database = createPool(config.databaseUrl, 'keystride', config.connections);
  const opened: { readonly resource: Resource; readonly name: string; readonly value: unknown }[] = [];
  let connection: NativeConnection | undefined;
  let renewal: NodeJS.Timeout | undefined;
  const close = async () => {
    clearInterval(renewal);
    // One that cannot be closed keeps none of the others open, whether it throws or rejects.
    for (const { resource, value } of opened.toReversed())
      await Promise.allSettled([(async () => resource.close?.(value))()]);
    await Promise.allSettled([database.end(), connection?.close()]);
  };
  try {
    for (const [name, resource] of Object.entries(resources))
      opened.push({
        resource,
        name,
        value: await openResource(resource, settings[name] ?? {}, {
          database,
          connections: config.connections,
        }),
      });
    const [temporal, level] = await Promise.all([
      reach({ title: 'Temporal', variable: 'TEMPORAL_ADDRESS', address: config.temporal.address }, () =>
        connectTemporal(config.temporal),
      ),
      reach({ title: 'the database', variable: 'DATABASE_URL', address: config.databaseUrl }, () =>
        readLevel(new Ledger(database)),
      ),
      ...opened.map(({ resource, name, value }) =>
        reach(placeOf(resource, settings[name] ?? {}), async () => resource.check?.(value)),
      ),
    ]);
    connection = temporal;
    renewal = renewApiKey(connection, config);
    const own = Object.fromEntries(opened.map(({ name, value }) => [name, value]));
    return { connection, database, level, own, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A server may let anybody connect, and judge a key by the namespace that it is shown for. */
async function connectTemporal(temporal: TemporalConfig): Promise<NativeConnection> {
  const { connectionOptions, namespace } = temporal;
  const connection = await NativeConnection.connect(connectionOptions).catch(async (error: unknown) => {
    throw (await tlsFailure(temporal)) ?? error;
  });
  try {
    await connection.workflowService.describeNamespace({ namespace });
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** How long a key that has been replaced is still shown, in milliseconds. */
const keyAgeMs = 10_000;

function renewApiKey(
  connection: NativeConnection,
  { temporal: { currentApiKey } }: WorkerConfig,
): NodeJS.Timeout | undefined {
  if (!currentApiKey) return undefined;
  return setInterval(
    () => void connection.setApiKey(currentApiKey()).catch(() => undefined),
    keyAgeMs,
  ).unref();
}

/** Opens a resource. @throws UnreachablePart that says which it is, and nothing that it was given */
export async function openResource(
  resource: Resource,
  values: ResourceSettings[string],
  context: ResourceContext,
): Promise<unknown> {
  try {
    return await resource.open(values, context);
  } catch (error) {
    // A driver's error may hold an address with its password.
    const what = `${resource.title} cannot be used: ${error instanceof ToldError ? error.message : safeMessage(error)}`;
    const todo = `Correct ${Object.keys(resource.variables ?? {}).join(', ') || 'how it is opened'}.`;
    throw new UnreachablePart({ message: `${what}. ${todo}`, what, todo }, { cause: error });
  }
}

/** What is to be said of an open resource that does not answer. */
export function silentResource(
  resource: Resource,
  values: ResourceSettings[string],
  cause: unknown,
): UnreachablePart {
  return unreachable(placeOf(resource, values), cause);
}

/** Where a part is said to be. */
interface Place {
  readonly title: string;
  /** Names the address. */
  readonly variable: string;
  readonly address?: string;
}

/** A resource is where the first address among its settings says. */
function placeOf({ title, variables = {} }: Resource, values: ResourceSettings[string]): Place {
  const isAddress = (value: unknown): value is string =>
    typeof value === 'string' && /^[a-z][a-z0-9+.-]*:\/\//iu.test(value);
  const [variable, address] = Object.entries(values).find(([, value]) => isAddress(value)) ?? [];
  if (variable === undefined || !isAddress(address))
    return { title, variable: Object.keys(variables).join(', ') };
  return { title, variable, address };
}

async function reach<Answer>(place: Place, ask: () => Promise<Answer>): Promise<Answer> {
  const until = performance.now() + patience;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (performance.now() > until || isRefusal(error)) throw unreachable(place, error);
    }
    await delay(500);
  }
}

function unreachable({ title, variable, address = '' }: Place, cause: unknown): UnreachablePart {
  const known = address.startsWith('postgres')
    ? databaseProblemOf(cause, { url: address, variable })
    : variable === 'TEMPORAL_ADDRESS'
      ? temporalProblemOf(cause)
      : undefined;
  const { what, todo } = known ?? {
    what: safeMessage(cause),
    todo: `Check that it is up${variable === '' ? '' : ` and that ${variable} is right`}.`,
  };
  const where = address === '' ? undefined : withoutCredentials(address);
  const at = where === undefined ? '' : ` at ${where}`;
  return new UnreachablePart(
    {
      message: `the worker cannot reach ${title}${at}: ${what}. ${todo}`,
      what: `${title}: ${what}`,
      where,
      todo,
    },
    { cause },
  );
}

/** Waiting does not help: a wrong password, no such database, no ledger, a certificate that nobody trusts. */
function isRefusal(error: unknown): boolean {
  if (error instanceof UnusableSession || temporalProblemOf(error)) return true;
  const code = codeOf(error);
  // 18: MongoDB's authentication has failed.
  if (code === '18' || /CERT|^ERR_(SSL|TLS|INVALID_URL)/u.test(code)) return true;
  return isRefused(error);
}
