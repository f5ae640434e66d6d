import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import pg from 'pg';
import { configOf, type DemoConfig } from '../src/commands/demo/stack.ts';
import { withSession } from '../packages/keystride/src/operator/connection.ts';
import type { JobProgress } from '../packages/keystride/src/contract/progress.ts';
import { progressText } from '../packages/keystride/src/dev/progress.ts';
import { loadProject } from '../packages/keystride/src/project/project.ts';
import { startStack, type Stack } from '../packages/keystride/src/dev/stack.ts';
import { withoutTemporalSettings } from '../packages/keystride/src/dev/temporal.ts';
import { writeWorkflowBundle } from '../packages/keystride/src/host/workflow-bundle.ts';
import { startTestWorker, type TestWorker } from '../test/support/worker-process.ts';

/** What measurements work with: one stack, one worker with the jobs of the product and of the measurements. */
export interface Bench {
  readonly config: DemoConfig;
  readonly client: Client;
  readonly stack: Stack;
  /** The database that jobs write to, with the ledger. */
  readonly database: pg.Client;
  /** The source database of the syncs. */
  readonly service: pg.Client;
  /** The processes that share the work. */
  readonly pids: { readonly worker: number; readonly database: number; readonly server: number };
  /** What a worker has to know, the address of the stack included. */
  readonly workerEnvironment: NodeJS.ProcessEnv;
  /** A worker that has done nothing yet, in the place of the present one. */
  freshWorker(): Promise<void>;
  /** A place of ours that the database server can read and write too. */
  readonly directory: string;
  /** Tells how far things are; results are not told here. */
  note(text: string): void;
}

/** How to bring it up. */
export interface BenchOptions {
  note(text: string): void;
}

/**
 * Brings up a stack with a worker for all measurements of a run, and ends it, whatever happens.
 * @throws PartError when a part of the stack cannot be had
 */
export async function withBench<Result>(
  options: BenchOptions,
  work: (bench: Bench) => Promise<Result>,
): Promise<Result> {
  const directory = mkdtempSync(path.join(tmpdir(), 'keystride-bench-'));
  chmodSync(directory, 0o777);
  const stack = await startStack({
    ephemeral: true,
    project: await loadProject(path.join(import.meta.dirname, '../keystride.config.ts')),
    onProgress: (event) => options.note(progressText(event)),
  });
  try {
    const workerEnvironment = await environmentOf(stack, directory);
    const worker = await startWorker(stack, workerEnvironment);
    try {
      return await withConnections(stack, (connections) =>
        work({
          ...connections,
          stack,
          directory,
          workerEnvironment,
          note: options.note,
          get pids() {
            return pidsOf(stack, worker);
          },
          freshWorker: async () => {
            await worker.stop();
            await worker.restart();
          },
        }),
      );
    } finally {
      await worker.stop();
    }
  } finally {
    await stack.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Forgets every run of a job, so that its instance may run again. */
export async function emptyLedger({ database }: Pick<Bench, 'database'>): Promise<void> {
  await database.query('truncate keystride.instance, keystride.stream_offset cascade');
}

/**
 * A whole job, from its start to its end. The ledger must not know its instance: see `emptyLedger`.
 * @throws Error when it does not complete
 */
export async function runJob(
  { client, config }: Bench,
  job: string,
  parameters: object,
  workflowId = job,
): Promise<JobProgress> {
  const report = (await client.workflow.execute(job, {
    taskQueue: config.taskQueue,
    workflowId,
    args: [parameters],
  })) as JobProgress;
  if (report.status !== 'completed')
    throw new Error(`${workflowId} ended ${report.status}: ${report.reason}`);
  return report;
}

async function withConnections<Result>(
  stack: Stack,
  work: (connections: Pick<Bench, 'config' | 'client' | 'database' | 'service'>) => Promise<Result>,
): Promise<Result> {
  const config = configOf(stack.info);
  const database = new pg.Client({ connectionString: config.databaseUrl });
  const service = new pg.Client({ connectionString: config.sourceDatabaseUrl });
  // The soak restarts the server; who asks on a connection that is gone is told then.
  for (const connection of [database, service]) connection.on('error', () => undefined);
  try {
    await Promise.all([database.connect(), service.connect()]);
    return await withSession(({ client }) => work({ config, client, database, service }), config);
  } finally {
    await Promise.all([database.end(), service.end()]);
  }
}

async function environmentOf({ info }: Stack, directory: string): Promise<NodeJS.ProcessEnv> {
  const bundle = path.join(directory, 'workflows.js');
  await writeWorkflowBundle(bundle, path.join(import.meta.dirname, 'jobs/workflows.ts'));
  return {
    ...withoutTemporalSettings(process.env),
    TEMPORAL_ADDRESS: info.temporalAddress,
    TEMPORAL_NAMESPACE: info.temporalNamespace,
    // A file that is not there: the user's own would point at another Temporal.
    TEMPORAL_CONFIG_FILE: path.join(directory, 'no-temporal.toml'),
    DATABASE_URL: info.databaseUrl,
    SOURCE_DATABASE_URL: info.sourceDatabaseUrl,
    MONGODB_URL: info.mongodbUrl,
    ...info.stubs,
    KEYSTRIDE_HOME: info.home,
    KEYSTRIDE_WORKFLOW_BUNDLE: bundle,
  };
}

/** A worker of the bench's jobs, whose output is kept under its name. */
export function startWorker(
  stack: Stack,
  environment: NodeJS.ProcessEnv,
  name = 'worker-1',
): Promise<TestWorker> {
  return startTestWorker({
    name,
    home: stack.info.home,
    program: path.join(import.meta.dirname, 'jobs/worker.ts'),
    environment,
    owner: stack.ownership,
  });
}

function pidsOf({ parts }: Stack, { pid: worker }: TestWorker): Bench['pids'] {
  const [database, server] = [parts.postgres.pid, parts.temporal.pid];
  if (worker === undefined || database === undefined || server === undefined)
    throw new Error('a part of the stack has ended by itself');
  return { worker, database, server };
}
