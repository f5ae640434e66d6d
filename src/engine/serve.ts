import { Client, WorkflowNotFoundError } from '@temporalio/client';
import { type NativeConnection, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import type pg from 'pg';
import { failure } from '../contract/errors.ts';
import { searchAttributes } from '../contract/search-attributes.ts';
import { ByteBudget } from './activity/byte-budget.ts';
import { createEngineActivities } from './activity/engine-activities.ts';
import { JobRegistry, type RegisteredJob } from './activity/registry.ts';

export interface ServeOptions {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly bytesInFlight: number;
  readonly workflowBundle: WorkflowBundleOption;
  readonly ledger: pg.Pool;
  readonly jobs: readonly RegisteredJob[];
  /** Called when the worker polls. */
  onReady(): void;
}

/** Serves jobs until the process is asked to end; what pages have in hand then commits. */
export async function serve(options: ServeOptions): Promise<void> {
  const worker = await createWorker(options);
  const running = worker.run();
  options.onReady();
  await running;
}

function createWorker(options: ServeOptions): Promise<Worker> {
  const { connection, namespace } = options;
  const client = new Client({ connection, namespace });
  return Worker.create({
    connection,
    namespace,
    taskQueue: options.taskQueue,
    workflowBundle: options.workflowBundle,
    activities: createEngineActivities({
      registry: new JobRegistry(options.jobs),
      ledger: options.ledger,
      budget: new ByteBudget(options.bytesInFlight),
      isOpen: (workflowId) => isOpen(client, workflowId),
      hasSearchAttributes: once(() => hasSearchAttributes(connection, namespace)),
    }),
    // A page hears of a pause with its next heartbeat: at the default of up to 80 % of the time-out, seconds late.
    maxHeartbeatThrottleInterval: '1 second',
    // Pages let go at once, and have this long to commit what they have in hand.
    shutdownForceTime: '15 seconds',
  });
}

/** Whether a workflow id has an open run. An id that Temporal no longer knows has none. */
async function isOpen(client: Client, workflowId: string): Promise<boolean> {
  try {
    const { status } = await client.workflow.getHandle(workflowId).describe();
    return status.name === 'RUNNING' || status.name === 'PAUSED';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw failure('Unavailable', `Temporal could not be asked whether ${workflowId} is running.`, {
      retryable: true,
    });
  }
}

async function hasSearchAttributes(connection: NativeConnection, namespace: string): Promise<boolean> {
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return Object.values(searchAttributes).every((name) => name in customAttributes);
  } catch {
    // Not allowed to ask, or a server without the service: jobs run as well without.
    return false;
  }
}

function once<Result>(ask: () => Promise<Result>): () => Promise<Result> {
  let answer: Promise<Result> | undefined;
  return () => (answer ??= ask());
}
