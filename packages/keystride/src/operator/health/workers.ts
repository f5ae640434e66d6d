import type { Client } from '@temporalio/client';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';
import type { temporal } from '@temporalio/proto';
import { allTaskQueues } from '../../settings/task-queues.ts';
import type { Session } from '../connection.ts';

/** A worker that has polled a task queue. */
export interface Poller {
  readonly identity: string;
  /** ISO time of its last poll. */
  readonly lastSeenAt: string;
  /** Null for workers that tell no build. */
  readonly build: string | null;
  /** Runs are kept with the build that began them. */
  readonly versioned: boolean;
  /** What it has asked for. */
  readonly takes: readonly WorkKind[];
}

type WorkKind = 'workflows' | 'activities';

/** A task queue that runs go to, and who polls it. */
export interface PolledQueue {
  readonly taskQueue: string;
  readonly pollers: readonly Poller[];
}

/** How long a worker counts as polling after its last poll, in milliseconds: a poll is held for a minute. */
const seenWithin = 90_000;

/** Temporal's numbers: what a poller asks for, and that runs are kept with their build. */
const kinds: Readonly<Record<WorkKind, number>> = { workflows: 1, activities: 2 };
const versionedMode = 2;

/** Who takes runs at present from the task queues that they go to. */
export function readQueues({ client, config }: Session): Promise<PolledQueue[]> {
  return Promise.all(allTaskQueues(config).map((taskQueue) => readPolled(client, taskQueue)));
}

/** Who takes runs at present from one of them. */
export async function readPolled(client: Client, taskQueue: string): Promise<PolledQueue> {
  const { pollers } = await readQueue(client, taskQueue, ['workflows']);
  const since = Date.now() - seenWithin;
  return { taskQueue, pollers: pollers.filter(({ lastSeenAt }) => Date.parse(lastSeenAt) >= since) };
}

/**
 * Who has polled a task queue within five minutes, each worker once: so long Temporal names it.
 *
 * @param wanted what they ask for. @default all
 */
export async function readQueue(
  { workflowService, options: { namespace } }: Client,
  taskQueue: string,
  wanted: readonly WorkKind[] = ['workflows', 'activities'],
): Promise<PolledQueue> {
  const polls = await Promise.all(
    wanted.map(async (kind) => {
      const { pollers } = await workflowService.describeTaskQueue({
        ...{ namespace, taskQueue: { name: taskQueue }, taskQueueType: kinds[kind] },
      });
      return (pollers ?? []).map((poller) => pollerOf(poller, kind));
    }),
  );
  const pollers = Map.groupBy(polls.flat(), ({ identity }) => identity);
  return { taskQueue, pollers: [...pollers.values()].flatMap(together) };
}

function pollerOf(poller: temporal.api.taskqueue.v1.IPollerInfo, kind: WorkKind): Poller {
  const { identity, lastAccessTime, deploymentOptions, workerVersionCapabilities: old } = poller;
  return {
    identity: identity ?? '',
    lastSeenAt: new Date(optionalTsToMs(lastAccessTime) ?? 0).toISOString(),
    build: (deploymentOptions?.buildId ?? old?.buildId) || null,
    versioned: deploymentOptions?.workerVersioningMode === versionedMode,
    takes: [kind],
  };
}

/** What one worker has asked for, as one: when it did so last. */
function together(polls: readonly Poller[]): Poller[] {
  const [last] = polls.toSorted((a, b) => b.lastSeenAt.localeCompare(a.lastSeenAt));
  return last ? [{ ...last, takes: [...new Set(polls.flatMap(({ takes }) => takes))] }] : [];
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
