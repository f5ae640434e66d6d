import { Client } from '@temporalio/client';
import {
  type NativeConnection,
  Worker,
  type WorkerOptions,
  type WorkflowBundleOption,
} from '@temporalio/worker';
import type { AlertSettings } from '../contract/alerts.ts';
import { answeredOnce } from '../contract/answered-once.ts';
import { allowsPatch, presentLevel } from '../contract/level.ts';
import { searchAttributes } from '../contract/search-attributes.ts';
import { alertChannel } from './alert-channel.ts';
import { askedBy } from './asked-by.ts';
import { ByteBudget } from '../page/byte-budget.ts';
import { createEngineActivities } from '../operations/engine-activities.ts';
import { Room } from '../operations/room.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Gate } from '../page/gate.ts';
import { JobRegistry, type RegisteredJob } from '../job/registry.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { sampleGauges } from './metrics.ts';
import { dataConverterOf } from '../settings/data-converter.ts';
import { inputOf } from './input-of.ts';
import { completedRuns } from './completed-runs.ts';
import { openRuns } from './open-runs.ts';
import type { EncryptionSettings } from '../settings/encryption-keys.ts';
import { mostWaits, mostWithinTasks, tunerOf, type WorkerLoad } from './worker-load.ts';

export interface ServeOptions extends WorkerLoad {
  readonly connection: NativeConnection;
  readonly namespace: string;
  /** Namespaces that are gone, whose runs have ended with them. */
  readonly formerNamespaces: readonly string[];
  /** The task queues that are polled: alerts go to the first. */
  readonly workerQueues: readonly string[];
  /** Where the runs of a job go, that one of another job starts. */
  taskQueueOf(job: string): string;
  readonly bytesInFlight: number;
  readonly workflowBundle: WorkflowBundleOption;
  readonly ledger: Ledger;
  /** That the ledger carries. */
  readonly level: number;
  readonly jobs: readonly RegisteredJob[];
  /** The build of this worker; runs that it begins are then given to workers of this build alone. */
  readonly build?: { readonly deployment: string; readonly buildId: string };
  /** With keys, what goes to Temporal is encrypted. */
  readonly encryption?: EncryptionSettings;
  /** What holds pages back. */
  readonly gate: Gate;
  /** Where alerts go. */
  readonly alerts: AlertSettings;
  /** Where the Temporal UI is, for links in alerts. */
  readonly temporalUiUrl?: string;
  /** Where this process counts. */
  readonly metrics: Metrics;
  /** Called when all queues are polled. */
  onReady(workers: readonly Worker[]): void;
}

/** Serves jobs until the process is asked to end; what pages have in hand then commits. */
export async function serve(options: ServeOptions): Promise<void> {
  const budget = new ByteBudget(options.bytesInFlight);
  const shared = sharedOptions(options, budget);
  const workers = await Promise.all(
    options.workerQueues.map((taskQueue) => Worker.create({ ...shared, taskQueue })),
  );
  const running = workers.map((worker) => worker.run());
  const endSampling = sampleGauges(options.metrics, { ...options, budget });
  options.onReady(workers);
  try {
    await Promise.all(running);
  } finally {
    // One that has failed takes the others along: a process that polls half of its queues looks well and is not.
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await Promise.allSettled(running);
    endSampling();
  }
}

/** What the workers of this process have in common, one for each task queue: memory, connections and load are one. */
function sharedOptions(options: ServeOptions, budget: ByteBudget): Omit<WorkerOptions, 'taskQueue'> {
  const { connection, namespace } = options;
  const [taskQueue = ''] = options.workerQueues;
  const dataConverter = dataConverterOf(options.encryption);
  const client = new Client({ connection, namespace, dataConverter });
  return {
    connection,
    namespace,
    workflowBundle: options.workflowBundle,
    dataConverter,
    ...versioning(options.build),
    ...patching(options.level),
    activities: createEngineActivities({
      registry: new JobRegistry(options.jobs),
      ledger: options.ledger,
      budget,
      waits: new Room(mostWaits(options)),
      withinTasks: new Room(mostWithinTasks(options)),
      gate: options.gate,
      metrics: options.metrics,
      isOpen: openRuns(options),
      hasCompleted: completedRuns(client),
      askedBy: askedBy(client),
      inputOf: inputOf(client),
      hashKey: options.encryption?.hashKey,
      taskQueueOf: options.taskQueueOf,
      alerts: alertChannel({ ...options, client, taskQueue }),
      hasSearchAttributes: answeredOnce(() => hasSearchAttributes(connection, namespace)),
    }),
    tuner: tunerOf(options),
    // A page hears of a pause with its next heartbeat: at the default of up to 80 % of the time-out, seconds late.
    maxHeartbeatThrottleInterval: '1 second',
    // Pages let go at once, and have this long to commit what they have in hand.
    shutdownForceTime: '15 seconds',
  };
}

/**
 * Every run is pinned: partitions and continued runs stay with the build that began, so that neither the flow nor the
 * meaning of a step changes below a run. A new start of the instance takes the build that is current then.
 */
function versioning(build: ServeOptions['build']): Pick<WorkerOptions, 'workerDeploymentOptions'> {
  if (build === undefined) return {};
  return {
    workerDeploymentOptions: {
      version: { deploymentName: build.deployment, buildId: build.buildId },
      useWorkerVersioning: true,
      defaultVersioningBehavior: 'PINNED',
    },
  };
}

/** What a worker of an earlier level could not go on with, no run begins while there may be one. */
function patching(level: number): Pick<WorkerOptions, 'patchActivationCallback'> {
  // Each question would stop the thread of the workflows until it is answered.
  if (level >= presentLevel) return {};
  return { patchActivationCallback: ({ patchId }) => allowsPatch(level, patchId) };
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
