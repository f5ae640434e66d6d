import { Runtime } from '@temporalio/worker';
import type { Resources } from '../../../../src/activities/resources.ts';
import { type Config, ConfigError, loadConfig } from '../settings/config.ts';
import { armFaultPoints } from '../page/fault-points.ts';
import type { RegisteredJob } from '../job/registry.ts';
import { framesOf, safeMessage } from '../stores/safe-message.ts';
import { serve } from './serve.ts';
import { createLogger, temporalLogger } from './logging.ts';
import { openResources } from './resources.ts';
import { UnreachablePart } from './unreachable-part.ts';
import { taskQueueOf } from '../settings/task-queues.ts';
import { workerGate } from './worker-gate.ts';
import { boundHeaps } from './worker-memory.ts';
import { workflowBundle } from './workflow-bundle.ts';

/**
 * The life of a worker process: reads the environment, connects, serves the jobs until it is asked to end, and exits.
 * What it needs and does not have is named on stderr, and the exit code is 1.
 */
export async function runWorker(jobs: (resources: Resources) => readonly RegisteredJob[]): Promise<never> {
  boundHeaps();
  try {
    await connectAndServe(jobs);
  } catch (error) {
    const explained = error instanceof ConfigError || error instanceof UnreachablePart;
    // A driver's error may hold an address with its password, or what a row holds.
    console.error(explained ? error.message : `${safeMessage(error)}\n${framesOf(error)}`);
    process.exit(1);
  }
  // A parent's channel, if there is one, would keep the process alive.
  process.exit(0);
}

async function connectAndServe(jobs: (resources: Resources) => readonly RegisteredJob[]): Promise<void> {
  const config = loadConfig(process.env, [
    'temporal',
    'databaseUrl',
    'sourceDatabaseUrl',
    'mongodbUrl',
    'legacyApiUrl',
  ]);
  if (config.faults !== undefined) armFaultPoints(config.faults);
  Runtime.install({ logger: temporalLogger(createLogger(config.logLevel)) });
  const resources = await openResources(config);
  try {
    const served = jobs(resources);
    refuseUnknownJobs(config, served);
    await serve({
      ...config,
      connection: resources.connection,
      namespace: config.temporal.namespace,
      workflowBundle: await workflowBundle(config.workflowBundle),
      ledger: resources.migration,
      gate: workerGate(config, resources),
      jobs: served,
      taskQueueOf: (job) => taskQueueOf(config, job),
      onReady: () => process.send?.({ type: 'ready' }),
    });
  } finally {
    await resources.close();
  }
}

/** The runs of a job whose name is misspelt would go to another queue than was meant. */
function refuseUnknownJobs({ queues }: Config, served: readonly RegisteredJob[]): void {
  const names = served.map(({ definition }) => definition.name);
  const unknown = Object.keys(queues).filter((job) => !names.includes(job));
  if (unknown.length === 0) return;
  const problem = `names no job of this worker: ${unknown.join(', ')}; it has ${names.join(', ')}`;
  throw new ConfigError([{ variable: 'KEYSTRIDE_QUEUES', problem }], 'Correct it.');
}
