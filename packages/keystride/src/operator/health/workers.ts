import { tsToMs } from '@temporalio/common/lib/time.js';
import { allTaskQueues } from '../../settings/task-queues.ts';
import type { Session } from '../connection.ts';

/** A worker that polls a task queue. */
export interface Poller {
  readonly identity: string;
  /** ISO time of its last poll. */
  readonly lastSeenAt: string;
  /** Null for workers that tell no build. */
  readonly build: string | null;
}

/** A task queue that runs go to, and who polls it. */
export interface PolledQueue {
  readonly taskQueue: string;
  readonly pollers: readonly Poller[];
}

/**
 * How long a worker counts as polling after its last poll, in milliseconds: a poll is held for a minute, and Temporal names
 * whoever has polled within five.
 */
const seenWithin = 90_000;

/** Temporal's kinds of task queues. */
const workflowTasks = 1;

/** Who polls the task queues that runs go to. */
export function readQueues({ client, config }: Session): Promise<PolledQueue[]> {
  return Promise.all(
    allTaskQueues(config).map(async (taskQueue) => {
      const { pollers } = await client.workflowService.describeTaskQueue({
        namespace: client.options.namespace,
        taskQueue: { name: taskQueue },
        taskQueueType: workflowTasks,
      });
      return {
        taskQueue,
        pollers: (pollers ?? []).flatMap(({ identity, lastAccessTime, deploymentOptions }) => {
          const at = lastAccessTime ? tsToMs(lastAccessTime) : 0;
          if (Date.now() - at > seenWithin) return [];
          return {
            identity: identity ?? '',
            lastSeenAt: new Date(at).toISOString(),
            build: deploymentOptions?.buildId || null,
          };
        }),
      };
    }),
  );
}

/** A build of the workers that runs stay with. */
export interface WorkerBuildState {
  readonly deployment: string;
  readonly build: string;
  /** Runs of it are open that no newer build takes over. */
  readonly drains: boolean;
}

/** Deployments that are looked at. */
const mostDeployments = 20;

/** Temporal's word for a build that is not the current one and has runs. */
const draining = 1;

/** The builds that runs stay with; none where workers tell no build, or the server knows none. */
export async function readBuilds({ client }: Session): Promise<WorkerBuildState[]> {
  const { namespace } = client.options;
  try {
    const listed = await client.workflowService.listWorkerDeployments({
      namespace,
      pageSize: mostDeployments,
    });
    const deployments = await Promise.all(
      (listed.workerDeployments ?? []).map(({ name }) =>
        client.workflowService.describeWorkerDeployment({ namespace, deploymentName: name ?? '' }),
      ),
    );
    return deployments.flatMap(({ workerDeploymentInfo: info }) =>
      (info?.versionSummaries ?? []).map((version) => ({
        deployment: info?.name ?? '',
        build: version.deploymentVersion?.buildId ?? '',
        drains: version.drainageStatus === draining,
      })),
    );
  } catch {
    return [];
  }
}

/** The builds whose runs wait for a worker of theirs. */
export function leftBehind(
  builds: readonly WorkerBuildState[],
  queues: readonly PolledQueue[],
): readonly WorkerBuildState[] {
  const polling = new Set(queues.flatMap(({ pollers }) => pollers.map(({ build }) => build)));
  return builds.filter(({ drains, build }) => drains && !polling.has(build));
}
