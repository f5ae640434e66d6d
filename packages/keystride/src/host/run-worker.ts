import { ToldError } from '../contract/errors.ts';
import type { RegisteredJob } from '../job/registry.ts';
import { Ledger } from '../ledger/ledger.ts';
import { armFaultPoints } from '../page/fault-points.ts';
import { type Config, ConfigError, loadConfig } from '../settings/config.ts';
import { loadWorkerDefinition, nameOf, type Project, projectPath } from '../project/project.ts';
import type { ConfigProblem } from '../settings/secret-files.ts';
import { taskQueueOf } from '../settings/task-queues.ts';
import { framesOf, safeMessage } from '../stores/safe-message.ts';
import { createLogger, temporalLogger } from './logging.ts';
import { problemsOf, serveHealth } from './health.ts';
import { installRuntime } from './metrics.ts';
import {
  openResources,
  readResourceSettings,
  type ResourceSettings,
  type WorkerConfig,
} from './resources.ts';
import { serve } from './serve.ts';
import { startTraces } from './traces.ts';
import { refuseTwoCopies } from './package-copies.ts';
import { workerGate } from './worker-gate.ts';
import type { WorkerDefinition } from '../project/worker-definition.ts';
import { boundHeaps } from './worker-memory.ts';
import { workflowBundle } from './workflow-bundle.ts';

/**
 * The life of a worker process: reads the environment, connects, serves the project's jobs until it is asked to end, and
 * exits. What it needs and does not have is named on stderr, and the exit code is 1.
 */
export async function runWorkerOf(project: Promise<Project>): Promise<never> {
  boundHeaps();
  try {
    await connectAndServe(await project);
  } catch (error) {
    // A driver's error may hold an address with its password, or what a row holds.
    console.error(error instanceof ToldError ? error.message : `${safeMessage(error)}\n${framesOf(error)}`);
    process.exit(1);
  }
  // A parent's channel, if there is one, would keep the process alive.
  process.exit(0);
}

async function connectAndServe(project: Project): Promise<void> {
  refuseTwoCopies(project.file);
  const definition = await loadWorkerDefinition(project);
  const { config, settings } = readSettings(definition, project);
  if (config.faults !== undefined) armFaultPoints(config.faults);
  const logger = temporalLogger(createLogger(config.logLevel));
  const metrics = installRuntime({ logger }, config.metricsAddress);
  const endTraces = await startTraces(config.tracesAddress);
  const health = await serveHealth(config.healthAddress);
  const resources = await openResources(config, definition, settings);
  const { connection, level } = resources;
  const ledger = new Ledger(resources.database, { project: nameOf(project) });
  try {
    const served = definition.jobs({ ...resources.own, database: resources.database });
    refuseUnknownJobs(config, served);
    await serve({
      ...config,
      connection,
      namespace: config.temporal.namespace,
      workflowBundle: await workflowBundle(
        config.workflowBundle,
        projectPath(project, project.config.workflows),
        { encrypted: config.encryption !== undefined },
      ),
      ledger,
      level,
      gate: workerGate(config, definition, settings, resources),
      jobs: served,
      metrics,
      taskQueueOf: (job) => taskQueueOf(config, job),
      onReady: (workers) => {
        health.mayBeReady(problemsOf({ workers, connection, ledger }));
        process.send?.({ type: 'ready' });
      },
    });
  } finally {
    await Promise.all([resources.close(), endTraces()]);
    health.close();
  }
}

/** All settings of a worker. It never takes the addresses of a development stack. @throws ConfigError for all at once */
function readSettings(
  definition: WorkerDefinition,
  { config: project }: Project,
): { readonly config: WorkerConfig; readonly settings: ResourceSettings } {
  const problems: ConfigProblem[] = [];
  const settings = readResourceSettings(definition, process.env, problems);
  const taskQueue = project.taskQueue === undefined ? {} : { taskQueue: project.taskQueue };
  return {
    config: loadConfig(process.env, ['temporal', 'databaseUrl'], { problems, ...taskQueue }),
    settings,
  };
}

/** The runs of a job whose name is misspelt would go to another queue than was meant. */
function refuseUnknownJobs({ queues }: Config, served: readonly RegisteredJob[]): void {
  const names = served.map(({ definition }) => definition.name);
  const unknown = Object.keys(queues).filter((job) => !names.includes(job));
  if (unknown.length === 0) return;
  const problem = `names no job of this worker: ${unknown.join(', ')}; it has ${names.join(', ')}`;
  throw new ConfigError([{ variable: 'KEYSTRIDE_QUEUES', problem }], 'Correct it.');
}
