import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import type pg from 'pg';
import { messages } from '../contract/messages.ts';
import type { JobProgress } from '../contract/progress.ts';
import { Guard } from '../dev/guard.ts';
import type { Part } from '../dev/part.ts';
import { reporterOf, type Reporter } from '../dev/progress.ts';
import type { ProcessOwner } from '../dev/server-process.ts';
import { partsOf, startStack } from '../dev/stack.ts';
import { startStub } from '../dev/stub.ts';
import { withoutTemporalSettings } from '../dev/temporal.ts';
import { type Project, loadProject, projectFile, stubsOf } from '../project/project.ts';
import type { Books } from '../ledger/books.ts';
import { readBooks } from '../prove/books.ts';
import { encryptionOf } from '../settings/config.ts';
import { dataConverterOf } from '../settings/data-converter.ts';
import { parseEnvironment } from '../settings/environment.ts';
import { cacheOf } from '../settings/places.ts';
import { createPool } from '../stores/postgres/pool.ts';
import { bundleOf } from './bundles.ts';
import { migrateDatabase } from './databases.ts';
import { createNamespace } from './namespace.ts';
import { cloneOf, type TestServers } from './servers.ts';
import { type OnStarted, startTestWorker, type TestWorker } from './worker.ts';

/** What a world is to have. */
export interface WorldOptions {
  /** The project's configuration. @default the one in the working directory or the nearest above it */
  config?: string;
  /** Servers that it shares with other worlds. @default servers of its own */
  servers?: TestServers;
  /** Servers of its own though there are shared ones, so that they may be killed and restarted. @default false */
  ownServers?: boolean;
  /** Arguments of the project's stubs, such as `{ legacyApi: ['--latency=200'] }`. */
  stubs?: Readonly<Record<string, readonly string[]>>;
  /** Added to the environment of every worker; a stub whose variable is named here is not started. */
  environment?: NodeJS.ProcessEnv;
  /** Another program for workers than that of the project, with a `keystride.config.ts` beside or above it. */
  workerProgram?: string;
  /** Is told how to end each worker and run that is started: for a test that fails before it can. */
  onStarted?: OnStarted;
  /** Whether the databases are to be kept when the world ends, where their server stays. */
  keepDatabases?: () => boolean;
}

/** The servers behind a world that has its own. */
export interface OwnServers {
  /** The directory of their data and logs, which ends with them. */
  readonly home: string;
  readonly temporal: Part;
  readonly postgres: Part;
  /** @throws when the project's jobs do not work with MongoDB */
  readonly mongodb: Part;
}

/** How to start one more worker. */
export interface WorkerChoice {
  /** Added to the addresses of the world. */
  environment?: NodeJS.ProcessEnv;
  /** Another program than the world's. */
  program?: string;
}

/** Real parts that one file of tests has to itself: databases, a namespace, stubs, workers. */
export interface World {
  /** Connections to the database that jobs write to, with the ledger: to fill tables, and to look at what a job left. */
  readonly database: pg.Pool;
  /** Its address. */
  readonly databaseUrl: string;
  /** The database that jobs read, for a project that has two. */
  readonly sourceDatabaseUrl: string;
  /** @throws when the project's jobs do not work with MongoDB */
  readonly mongodbUrl: string;
  /** The stubs of the project, by name. */
  readonly stubs: Readonly<Record<string, Part>>;
  readonly temporalAddress: string;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly client: Client;
  /** The environment that a worker, or the command line, needs to work in this world. */
  readonly environment: NodeJS.ProcessEnv;
  /** @throws when the world shares its servers with others */
  readonly servers: OwnServers;
  /** The workers that were started, in order, the killed ones too. */
  readonly workers: readonly TestWorker[];
  /** Starts one more worker and waits until it polls. */
  startWorker(choice?: WorkerChoice): Promise<TestWorker>;
  /**
   * Starts a job as anybody may, by workflow type and parameters; the handle's `result()` is its report.
   * @param workflowId @default the job's name and something random
   */
  start(
    job: string,
    parameters?: object,
    workflowId?: string,
  ): Promise<WorkflowHandle<() => Promise<JobProgress>>>;
  /** What the `progress` query of a job answers. */
  progress(workflowId: string): Promise<JobProgress>;
  /** What the ledger says of an instance whose run has ended, by its report: counters, and what does not balance. */
  books(report: Pick<JobProgress, 'instance'>): Promise<Books>;
  /** Ends all of it. */
  dispose(): Promise<void>;
}

interface Servers {
  readonly temporalAddress: string;
  readonly databaseUrl: string;
  readonly sourceDatabaseUrl: string;
  readonly mongodbUrl: string | undefined;
  readonly own?: OwnServers;
  end(): Promise<void>;
}

/** What a world is made with. */
interface Making extends WorldOptions {
  readonly project: Project;
  readonly home: string;
  readonly cache: string;
  /** What has to be done at the end, in reverse. */
  readonly ends: (() => unknown)[];
}

/**
 * Makes a world.
 * @throws PartError when a server or a stub does not come up, and leaves nothing behind then
 */
export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const project = await loadProject(options.config ?? projectFile());
  const ends: (() => unknown)[] = [];
  const dispose = async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  const home = mkdtempSync(path.join(tmpdir(), 'keystride-world-'));
  // Open for passing through: PostgreSQL may run as another user.
  chmodSync(home, 0o711);
  ends.push(() => rmSync(home, { recursive: true, force: true }));
  const cache = options.servers?.cache ?? cacheOf(process.env);
  try {
    return await assemble({ ...options, project, home, cache, ends }, dispose);
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function assemble(making: Making, dispose: () => Promise<void>): Promise<World> {
  const { ends, home, onStarted = () => undefined } = making;
  const owner = guardedOwner(ends);
  const servers =
    making.servers === undefined || making.ownServers
      ? await ownServers(making)
      : await sharedServers(making, making.servers);
  ends.push(() => servers.end());
  const stubs = await startStubs(making, owner);
  const connection = await Connection.connect({ address: servers.temporalAddress });
  ends.push(() => connection.close());
  const namespace = await createNamespace(connection);
  const { settings } = parseEnvironment({ ...making.environment });
  const client = new Client({
    connection,
    namespace,
    dataConverter: dataConverterOf(encryptionOf(settings)),
  });
  const taskQueue = making.project.config.taskQueue ?? 'keystride';
  const environment = environmentOf(making, { ...servers, namespace, taskQueue, stubs });
  const database = createPool(servers.databaseUrl, 'keystride test', 4);
  ends.push(() => database.end());
  const workers: TestWorker[] = [];
  ends.push(() => Promise.all(workers.map((worker) => worker.stop())));
  return {
    ...servers,
    get mongodbUrl() {
      return servers.mongodbUrl ?? noMongo();
    },
    get servers() {
      if (servers.own === undefined) throw new Error('this world shares its servers; ask for ownServers');
      return servers.own;
    },
    ...{ database, stubs, namespace, taskQueue, client, environment, workers, dispose },
    startWorker: async ({ environment: added, program = making.workerProgram } = {}) => {
      const bundle = await bundleFor(making, program);
      const worker = await startTestWorker(
        {
          name: `worker-${workers.length + 1}`,
          home,
          ...(program !== undefined && { program }),
          environment: { ...environment, KEYSTRIDE_WORKFLOW_BUNDLE: bundle, ...added },
          owner,
        },
        onStarted,
      );
      workers.push(worker);
      onStarted(() => worker.kill());
      return worker;
    },
    start: async (job, parameters = {}, workflowId = `${job}-${mark()}`) => {
      const handle = await client.workflow.start<() => Promise<JobProgress>>(job, {
        ...{ taskQueue, workflowId },
        args: [parameters] as unknown as [],
      });
      onStarted(() => handle.terminate('its test has failed'));
      return handle;
    },
    progress: (workflowId) => client.workflow.getHandle(workflowId).query<JobProgress>(messages.progress),
    books: ({ instance }) => readBooks(servers.databaseUrl, instance ?? ''),
  };
}

interface Addresses extends Servers {
  readonly namespace: string;
  readonly taskQueue: string;
  readonly stubs: Readonly<Record<string, Part>>;
}

function environmentOf({ project, home, cache, environment }: Making, world: Addresses): NodeJS.ProcessEnv {
  const stubs = (project.config.dev?.stubs ?? []).map(
    ({ name, variable }) => [variable, world.stubs[name]?.url] as const,
  );
  return {
    ...withoutTemporalSettings(process.env),
    TEMPORAL_ADDRESS: world.temporalAddress,
    TEMPORAL_NAMESPACE: world.namespace,
    TEMPORAL_CONFIG_FILE: path.join(home, 'no-temporal.toml'),
    DATABASE_URL: world.databaseUrl,
    SOURCE_DATABASE_URL: world.sourceDatabaseUrl,
    MONGODB_URL: world.mongodbUrl,
    ...Object.fromEntries(stubs),
    KEYSTRIDE_CONFIG: project.file,
    KEYSTRIDE_HOME: home,
    KEYSTRIDE_CACHE: cache,
    KEYSTRIDE_TASK_QUEUE: world.taskQueue,
    ...environment,
  };
}

async function startStubs(making: Making, owner: ProcessOwner): Promise<Record<string, Part>> {
  const { project, home, ends, environment = {}, stubs: given = {} } = making;
  const wanted = stubsOf(project).filter(({ variable }) => !environment[variable]);
  const started = await Promise.all(
    wanted.map(async (stub) => {
      const part = await startStub(stub, { home, arguments: given[stub.name] ?? [], owner, report: silent });
      ends.push(() => part.stop());
      return [stub.name, part] as const;
    }),
  );
  return Object.fromEntries(started);
}

/** The bundle of what a worker runs: of the project, or of that which the program is in. */
async function bundleFor({ project, servers, home }: Making, program: string | undefined): Promise<string> {
  const directory = servers?.bundles ?? home;
  if (program === undefined) return bundleOf(project, directory);
  return bundleOf(await loadProject(projectFile({}, path.dirname(program))), directory);
}

const silent: Reporter = reporterOf('world', () => {});

/** Clones of the migrated databases and a Mongo database of its own, on the servers of the whole run. */
async function sharedServers({ keepDatabases }: Making, shared: TestServers): Promise<Servers> {
  const [source, target] = await Promise.all([cloneOf(shared, 'source'), cloneOf(shared, 'target')]);
  const mongodbUrl = shared.mongodbUrl === undefined ? undefined : ofItsOwn(shared.mongodbUrl);
  return {
    temporalAddress: shared.temporalAddress,
    databaseUrl: target.url,
    sourceDatabaseUrl: source.url,
    mongodbUrl,
    end: async () => {
      const keep = keepDatabases?.() ?? false;
      await source.drop({ keep });
      await target.drop({ keep });
      // A server that ends with the run takes it along; FerretDB needs minutes to drop large documents.
      if (mongodbUrl !== undefined && process.env['MONGODB_URL']) await dropMongoDatabase(mongodbUrl);
    },
  };
}

function ofItsOwn(mongodbUrl: string): string {
  const url = new URL(mongodbUrl);
  url.pathname = `/keystride_test_${mark()}`;
  return url.href;
}

/** The driver is loaded where there is something to drop: not every project has it. */
async function dropMongoDatabase(url: string): Promise<void> {
  const { MongoClient } = await import('mongodb');
  const client = await MongoClient.connect(url);
  try {
    await client.db().dropDatabase();
  } finally {
    await client.close();
  }
}

async function ownServers({ project, cache }: Making): Promise<Servers> {
  // On ports of its own: two worlds that come up at a time would both take the standard one for free.
  const stack = await startStack({
    ephemeral: true,
    cache,
    parts: partsOf(project),
    postgresFsync: false,
  });
  try {
    const { postgres, temporal } = stack.parts;
    await migrateDatabase(project, 'target', postgres.url);
    await migrateDatabase(project, 'source', postgres.sourceUrl);
    return {
      temporalAddress: temporal.address,
      databaseUrl: postgres.url,
      sourceDatabaseUrl: postgres.sourceUrl,
      mongodbUrl: stack.info.mongodbUrl,
      own: {
        home: stack.info.home,
        temporal,
        postgres,
        get mongodb() {
          return stack.info.mongodbUrl === undefined ? noMongo() : stack.parts.mongodb;
        },
      },
      end: () => stack.stop(),
    };
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

function noMongo(): never {
  throw new Error('the jobs of this project work without MongoDB: keystride.config.ts says no dev.mongodb');
}

/** Whatever is started with this owner does not outlive the test process. */
function guardedOwner(ends: (() => unknown)[]): ProcessOwner {
  const guard = new Guard();
  ends.push(() => guard.close());
  return guard.owner;
}

function mark(): string {
  return randomBytes(5).toString('hex');
}
