import type { Addresses } from '../settings/config.ts';
import { answeredOnce } from '../contract/answered-once.ts';
import { withoutCredentials } from '../settings/environment.ts';
import type { MigrationFolder } from '../project/config.ts';
import { PartError, givenPart, type Part, type PartName } from './part.ts';
import { probePostgres, startPostgres, type PostgresServer } from './postgres.ts';
import { reporterOf, type OnProgress } from './progress.ts';
import type { ProcessOwner } from './server-process.ts';
import { startStub, type StubKind, useRealOne } from './stub.ts';
import { startTemporal, useTemporal, type TemporalPart } from './temporal.ts';

/** Both databases, on a server of ours or as given. */
export interface DatabasesPart extends Part {
  /** The source database. */
  sourceUrl: string;
}

/** Every part by its name. */
export interface AllParts {
  temporal: TemporalPart;
  postgres: DatabasesPart;
  mongodb: Part;
}

/** What to bring up and where. */
export interface ComposeOptions {
  home: string;
  cache: string;
  /** What the environment names: used as it is. */
  given: Partial<Addresses>;
  parts: readonly PartName[];
  stubs: readonly StubKind[];
  /** Applied to the databases that are ours, after the ledger; folders are absolute. */
  migrations: readonly MigrationFolder[];
  /** The arguments of the stubs, by name. */
  stubArguments: Readonly<Record<string, readonly string[]>>;
  /** May name real ones instead of the stubs. */
  environment: NodeJS.ProcessEnv;
  /** Whether to take the standard ports where they are free. */
  standardPorts: boolean;
  /** Whether Temporal forgets everything when its process ends. */
  temporalInMemory: boolean;
  /** Whether a commit of PostgreSQL waits for the disk. */
  postgresFsync: boolean;
  /** Where Temporal's UI has payloads decrypted; undefined for nowhere. */
  codecEndpoint?: string | undefined;
  owner: ProcessOwner;
  onProgress: OnProgress;
}

/** The parts that are up, those too that came up while another failed. */
export interface StartedParts {
  parts: Partial<AllParts>;
  /** By name. */
  stubs: Record<string, Part>;
  /** Our PostgreSQL server: behind `postgres`, or for FerretDB alone. */
  ourPostgres?: Part;
}

/**
 * Brings up the parts side by side.
 * @param started is filled as they come up, so that a failure leaves nothing unknown behind
 * @throws the first part's error, once all others are up or have failed too
 */
export async function composeParts(options: ComposeOptions, started: StartedParts): Promise<void> {
  const ourPostgres = answeredOnce(async () => {
    const server = await startOurPostgres(options);
    started.ourPostgres = server;
    return server;
  });
  const starters: Record<PartName, () => Promise<void>> = {
    temporal: async () => void (started.parts.temporal = await temporal(options)),
    postgres: async () => void (started.parts.postgres = await databases(options, ourPostgres)),
    mongodb: async () => void (started.parts.mongodb = await mongodb(options, ourPostgres)),
  };
  const results = await Promise.allSettled([
    ...options.parts.map((name) => starters[name]()),
    ...options.stubs.map(async (kind) => void (started.stubs[kind.name] = await stubbed(kind, options))),
  ]);
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

function temporal({ given, ...options }: ComposeOptions): Promise<TemporalPart> {
  const report = reporterOf('temporal', options.onProgress);
  if (given.temporal !== undefined) return useTemporal(given.temporal, given.temporalUiUrl, report);
  const preferred = options.standardPorts ? { preferredPorts: { server: 7233, ui: 8233 } } : {};
  return startTemporal({ ...options, ...preferred, inMemory: options.temporalInMemory, report });
}

function startOurPostgres(options: ComposeOptions): Promise<PostgresServer> {
  const report = reporterOf('postgres', options.onProgress);
  const preferred = options.standardPorts ? { preferredPort: 5432 } : {};
  return startPostgres({ ...options, ...preferred, fsync: options.postgresFsync, report });
}

/** Each of the two databases is the given one, or one of ours with its tables made. */
async function databases(
  { given, migrations, onProgress }: ComposeOptions,
  ourPostgres: () => Promise<PostgresServer>,
): Promise<DatabasesPart> {
  const report = reporterOf('postgres', onProgress);
  for (const [variable, url] of [
    ['DATABASE_URL', given.databaseUrl],
    ['SOURCE_DATABASE_URL', given.sourceDatabaseUrl],
  ] as const)
    if (url !== undefined) {
      await checkGivenDatabase(variable, url);
      report.up(`using ${withoutCredentials(url)}`);
    }
  const { databaseUrl, sourceDatabaseUrl } = given;
  if (databaseUrl !== undefined && sourceDatabaseUrl !== undefined)
    return { ...givenPart(databaseUrl, withoutCredentials(databaseUrl)), sourceUrl: sourceDatabaseUrl };
  const server = await ourPostgres();
  const { migrateLedger, migrateTables } = await import('../ledger/migrate.ts');
  if (databaseUrl === undefined) await migrateLedger(server.urlOf('target'));
  for (const { database = 'DATABASE_URL', ...set } of migrations) {
    const ours = database === 'DATABASE_URL' ? databaseUrl === undefined : sourceDatabaseUrl === undefined;
    if (ours) await migrateTables(server.urlOf(database === 'DATABASE_URL' ? 'target' : 'source'), set);
  }
  return {
    url: databaseUrl ?? server.urlOf('target'),
    sourceUrl: sourceDatabaseUrl ?? server.urlOf('source'),
    origin: server.origin,
    get pid() {
      return server.pid;
    },
    kill: (signal) => server.kill(signal),
    restart: () => server.restart(),
    stop: () => server.stop(),
  };
}

/** How long a database that somebody names may take to answer, in milliseconds: the machine may be busy. */
const answersWithin = 30_000;

async function checkGivenDatabase(variable: string, url: string): Promise<void> {
  try {
    await probePostgres(url, answersWithin);
  } catch (error) {
    throw new PartError(
      {
        what: `PostgreSQL does not answer: ${error instanceof Error ? error.message : String(error)}`,
        where: withoutCredentials(url),
        todo: `Start it, correct ${variable}, or unset it to have one started.`,
      },
      { cause: error },
    );
  }
}

async function mongodb(
  { given, ...options }: ComposeOptions,
  ourPostgres: () => Promise<PostgresServer>,
): Promise<Part> {
  const report = reporterOf('mongodb', options.onProgress);
  // Not every project has the driver.
  const { startMongo, useMongo } = await import('./mongo.ts');
  if (given.mongodbUrl !== undefined)
    return useMongo(given.mongodbUrl, withoutCredentials(given.mongodbUrl), report);
  const preferred = options.standardPorts ? { preferredPort: 27017 } : {};
  const ferretdbDatabaseUrl = async (): Promise<string> => (await ourPostgres()).urlOf('ferretdb');
  return startMongo({ ...options, ...preferred, ferretdbDatabaseUrl, report });
}

/** The system that the environment names, or the stub that stands for it. */
function stubbed(kind: StubKind, options: ComposeOptions): Promise<Part> {
  const { home, owner } = options;
  const report = reporterOf(kind.name, options.onProgress);
  const given = options.environment[kind.variable];
  if (given) return useRealOne(kind, given, withoutCredentials(given), report);
  return startStub(kind, { home, owner, arguments: options.stubArguments[kind.name] ?? [], report });
}
