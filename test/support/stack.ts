import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { MongoClient } from 'mongodb';
import { inject } from 'vitest';
import { messages } from '../../packages/keystride/src/contract/messages.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { Guard } from '../../packages/keystride/src/dev/guard.ts';
import type { Part } from '../../packages/keystride/src/dev/part.ts';
import { reporterOf, type Reporter } from '../../packages/keystride/src/dev/progress.ts';
import type { ProcessOwner } from '../../packages/keystride/src/dev/server-process.ts';
import { startStack } from '../../packages/keystride/src/dev/stack.ts';
import { startStub } from '../../packages/keystride/src/dev/stub.ts';
import { withoutTemporalSettings } from '../../packages/keystride/src/dev/temporal.ts';
import { addressVariables } from './address-variables.ts';
import { testDatabase } from './database.ts';
import { startMessageProvider } from './message-provider.ts';
import { createNamespace } from './namespace.ts';
import { startedByTest } from './started.ts';
import { migrate } from './templates.ts';
import { startTestWorker, type TestWorker } from './worker-process.ts';
import { bundleFor } from './workflow-bundle.ts';

export { waitFor } from './wait-for.ts';
export type { TestWorker } from './worker-process.ts';

/** What a world is to have. */
export interface WorldOptions {
  /** Arguments of the stub of the legacy API, such as `--latency=200`. */
  legacyApi?: readonly string[];
  /** Servers of its own instead of the shared ones, so that they may be killed and restarted. */
  ownServers?: boolean;
  /** The program that workers run, with the workflows beside it: `testJobsWorker`, say. @default src/worker.ts */
  workerProgram?: string;
}

/** The servers behind a world that has its own. */
export interface OwnServers {
  readonly temporal: Part;
  readonly postgres: Part;
  readonly mongodb: Part;
}

/** How to start one more worker. */
export interface WorkerChoice {
  /** Added to the addresses of the world. */
  environment?: NodeJS.ProcessEnv;
  /** Another program than the world's. */
  program?: string;
}

/** Real parts that one file of tests has to itself: databases, namespace, stub, workers. */
export interface World {
  /** The service database: the source. */
  readonly sourceDatabaseUrl: string;
  /** The migration database: the target, with the ledger. */
  readonly databaseUrl: string;
  readonly mongodbUrl: string;
  readonly legacyApi: Part;
  /** Where the message provider answers: a stub in the process of the test. */
  readonly messageProviderUrl: string;
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
   * Starts a job as anybody may, by workflow type and parameters.
   * @param workflowId @default the job's name and something random
   */
  start(job: string, parameters?: object, workflowId?: string): Promise<WorkflowHandle>;
  /** What the `progress` query of a job answers. */
  progress(workflowId: string): Promise<JobProgress>;
  /** Figures of the legacy API. */
  legacyApiStatistics(): Promise<LegacyApiStatistics>;
  /** Ends all of it. */
  dispose(): Promise<void>;
}

/** What the stub counts; see `src/dev/legacy-api/statistics.ts`. */
export interface LegacyApiStatistics {
  calls: number;
  peakInFlight: number;
  keys: number;
  keysCalledMoreThanOnce: number;
  repeatedCalls: number;
}

interface Servers {
  readonly temporalAddress: string;
  readonly databaseUrl: string;
  readonly sourceDatabaseUrl: string;
  readonly mongodbUrl: string;
  readonly own?: OwnServers;
  end(): Promise<void>;
}

/** Makes a world; a test that has failed to make one leaves nothing behind either. */
export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const ends: (() => unknown)[] = [];
  const dispose = async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  try {
    return await assemble(options, ends, dispose);
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function assemble(
  options: WorldOptions,
  ends: (() => unknown)[],
  dispose: () => Promise<void>,
): Promise<World> {
  const home = mkdtempSync(path.join(tmpdir(), 'keystride-world-'));
  chmodSync(home, 0o711);
  ends.push(() => rmSync(home, { recursive: true, force: true }));
  const owner = guardedOwner(ends);
  const servers = options.ownServers ? await ownServers(home) : await sharedServers();
  ends.push(() => servers.end());
  const stub = { home, arguments: options.legacyApi ?? [], owner, report: silent };
  const legacyApi = await startStub(legacyApiStub, stub);
  ends.push(() => legacyApi.stop());
  const messageProvider = await startMessageProvider();
  ends.push(() => messageProvider.stop());
  const connection = await Connection.connect({ address: servers.temporalAddress });
  ends.push(() => connection.close());
  const namespace = await createNamespace(connection);
  const client = new Client({ connection, namespace });
  const taskQueue = 'keystride';
  const environment: NodeJS.ProcessEnv = {
    ...withoutTemporalSettings(process.env),
    TEMPORAL_ADDRESS: servers.temporalAddress,
    TEMPORAL_NAMESPACE: namespace,
    TEMPORAL_CONFIG_FILE: path.join(home, 'no-temporal.toml'),
    DATABASE_URL: servers.databaseUrl,
    SOURCE_DATABASE_URL: servers.sourceDatabaseUrl,
    MONGODB_URL: servers.mongodbUrl,
    LEGACY_API_URL: legacyApi.url,
    MESSAGE_PROVIDER_URL: messageProvider.url,
    KEYSTRIDE_HOME: home,
    KEYSTRIDE_CACHE: inject('sharedStack').cache,
    KEYSTRIDE_TASK_QUEUE: taskQueue,
  };
  const workers: TestWorker[] = [];
  ends.push(() => Promise.all(workers.map((worker) => worker.stop())));
  return {
    ...servers,
    legacyApi,
    messageProviderUrl: messageProvider.url,
    namespace,
    taskQueue,
    client,
    environment,
    workers,
    get servers() {
      if (servers.own === undefined) throw new Error('this world shares its servers; ask for ownServers');
      return servers.own;
    },
    startWorker: async ({ environment: added, program = options.workerProgram ?? productWorker } = {}) => {
      const worker = await startTestWorker({
        name: `worker-${workers.length + 1}`,
        home,
        program,
        environment: { ...environment, KEYSTRIDE_WORKFLOW_BUNDLE: await bundleFor(program), ...added },
        owner,
      });
      workers.push(worker);
      startedByTest(() => worker.kill());
      return worker;
    },
    start: async (job, parameters = {}, workflowId = `${job}-${mark()}`) => {
      const handle = await client.workflow.start(job, { taskQueue, workflowId, args: [parameters] });
      startedByTest(() => handle.terminate('its test has failed'));
      return handle;
    },
    progress: (workflowId) => client.workflow.getHandle(workflowId).query<JobProgress>(messages.progress),
    legacyApiStatistics: async () =>
      (await (await fetch(`${legacyApi.url}/stats`)).json()) as LegacyApiStatistics,
    dispose,
  };
}

/** The worker as users run it. */
export const productWorker = path.join(import.meta.dirname, '../../src/worker.ts');

/** The worker with the jobs that exist for tests alone. */
export const testJobsWorker = path.join(import.meta.dirname, 'jobs/worker.ts');

const legacyApiStub = {
  name: 'legacyApi',
  program: path.join(import.meta.dirname, '../../src/stubs/legacy-api/server.ts'),
  standsFor: 'the legacy API',
  variable: 'LEGACY_API_URL',
};

const silent: Reporter = reporterOf('world', () => {});

/** Clones of the migrated databases and a Mongo database of its own, on the servers of the whole run. */
async function sharedServers(): Promise<Servers> {
  const { temporalAddress, mongodbUrl } = inject('sharedStack');
  const [service, migration] = await Promise.all([testDatabase('source'), testDatabase('target')]);
  const ofItsOwn = new URL(mongodbUrl);
  ofItsOwn.pathname = `/keystride_test_${mark()}`;
  return {
    temporalAddress,
    databaseUrl: migration.url,
    sourceDatabaseUrl: service.url,
    mongodbUrl: ofItsOwn.href,
    end: async () => {
      await service.drop();
      await migration.drop();
      // A server that ends with the run takes it along; FerretDB needs minutes to drop large documents.
      if (process.env['MONGODB_URL']) await dropMongoDatabase(ofItsOwn.href);
    },
  };
}

async function dropMongoDatabase(url: string): Promise<void> {
  const client = await MongoClient.connect(url);
  try {
    await client.db().dropDatabase();
  } finally {
    await client.close();
  }
}

async function ownServers(home: string): Promise<Servers> {
  // An ephemeral stack ignores the parts that the environment names, but its Temporal forgets all on a restart.
  const given = addressVariables.some((name) => process.env[name]);
  const stack = await startStack({
    ...(given ? { ephemeral: true } : { home: path.join(home, 'servers') }),
    cache: inject('sharedStack').cache,
    parts: ['temporal', 'postgres', 'mongodb'],
  });
  const { temporal, postgres, mongodb } = stack.parts;
  await migrate(postgres.url, 'target');
  await migrate(postgres.sourceUrl, 'source');
  return {
    temporalAddress: temporal.address,
    databaseUrl: postgres.url,
    sourceDatabaseUrl: postgres.sourceUrl,
    mongodbUrl: mongodb.url,
    own: { temporal, postgres, mongodb },
    end: () => stack.stop(),
  };
}

/** Whatever is started with this owner does not outlive the test process. */
function guardedOwner(ends: (() => unknown)[]): ProcessOwner {
  const guard = new Guard();
  ends.push(() => guard.close());
  return {
    started: (_name, identity, signal) => guard.watch(identity, signal),
    ended: (_name, identity) => guard.release(identity),
  };
}

function mark(): string {
  return randomBytes(5).toString('hex');
}
