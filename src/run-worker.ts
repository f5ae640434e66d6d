import { Runtime } from '@temporalio/worker';
import type { Resources } from './activities/resources.ts';
import { ConfigError, loadConfig } from './config.ts';
import { armFaultPoints } from './engine/activity/fault-points.ts';
import type { RegisteredJob } from './engine/activity/registry.ts';
import { serve } from './engine/serve.ts';
import { createLogger, temporalLogger } from './logging.ts';
import { openResources, UnreachablePart } from './resources.ts';
import { workflowBundle } from './workflow-bundle.ts';

/**
 * The life of a worker process: reads the environment, connects, serves the jobs until it is asked to end, and exits.
 * What it needs and does not have is named on stderr, and the exit code is 1.
 */
export async function runWorker(jobs: (resources: Resources) => readonly RegisteredJob[]): Promise<never> {
  try {
    await connectAndServe(jobs);
  } catch (error) {
    const explained = error instanceof ConfigError || error instanceof UnreachablePart;
    console.error(explained ? error.message : error);
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
    await serve({
      ...config,
      connection: resources.connection,
      namespace: config.temporal.namespace,
      workflowBundle: await workflowBundle(config.workflowBundle),
      ledger: resources.migration,
      jobs: jobs(resources),
      onReady: () => process.send?.({ type: 'ready' }),
    });
  } finally {
    await resources.close();
  }
}
