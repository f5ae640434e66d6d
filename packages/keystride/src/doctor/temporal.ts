import type { Connection } from '@temporalio/client';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';
import { searchAttributeTypes } from '../contract/search-attributes.ts';
import { keystride } from '../operator/called-as.ts';
import { quoted } from '../operator/run-query.ts';
import { clockFinding } from './database.ts';
import { bad, failed, type Finding, ok, warn } from './finding.ts';

/** A namespace of a server of Temporal. */
export interface Namespace {
  readonly connection: Connection;
  readonly namespace: string;
}

/** Which server it is. */
export async function temporalVersion({ connection }: Namespace): Promise<Finding> {
  const { serverVersion } = await connection.workflowService.getSystemInfo({});
  return ok('versions', `Temporal is ${serverVersion || 'of a release that it does not tell'}`);
}

/** How long the namespace keeps what has closed, in seconds. @throws what Temporal answers where there is none */
export async function retentionSeconds({ connection, namespace }: Namespace): Promise<number> {
  const { config } = await connection.workflowService.describeNamespace({ namespace });
  return (optionalTsToMs(config?.workflowExecutionRetentionTtl) ?? 0) / 1000;
}

/**
 * Whether the namespace has the search attributes that runs set where it has them.
 *
 * @param fix registers those that are missing
 */
export async function searchAttributesIn(
  { connection, namespace }: Namespace,
  fix: boolean,
): Promise<Finding> {
  const check = 'search attributes';
  const { operatorService } = connection;
  try {
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
    const missing = Object.entries(searchAttributeTypes).filter(([name]) => !(name in customAttributes));
    const names = missing.map(([name]) => name).join(', ');
    if (missing.length === 0) return ok(check, `namespace ${namespace} has them`);
    if (!fix)
      return warn(
        check,
        `namespace ${namespace} lacks ${names}: runs cannot be found by them`,
        `Run: ${keystride} doctor --fix`,
      );
    await operatorService.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing) });
    return ok(check, `namespace ${namespace} has them now: registered ${names}`);
  } catch (error) {
    const { what } = failed(check, error);
    return warn(
      check,
      `namespace ${namespace} does not let them be seen or registered here: ${what}`,
      `Have its administrator add ${Object.keys(searchAttributeTypes).join(', ')}.`,
    );
  }
}

/** Workers that poll one task queue. */
export interface Pollers {
  readonly queue: string;
  /** Who they are, each once. */
  readonly workers: readonly string[];
  /** Builds that they are of. */
  readonly builds: readonly string[];
  /** They take workflows as well as activities. */
  readonly whole: boolean;
  /** Whether runs are kept with the build that began them. */
  readonly versioned: boolean;
  /** When the last of them asked, by Temporal's clock, in milliseconds; undefined where none does. */
  readonly lastAsked: number | undefined;
  /** Runs on this queue that are open. */
  readonly open: number;
}

/** Temporal's numbers: what a poller asks for, and whether runs are kept with their build. */
const taskQueueTypes = [1, 2];
const versionedMode = 2;

/** Asks Temporal who polls a queue: whoever has in the last five minutes. */
export async function pollersOf({ connection, namespace }: Namespace, queue: string): Promise<Pollers> {
  const { workflowService } = connection;
  const kinds = await Promise.all(
    taskQueueTypes.map((taskQueueType) =>
      workflowService.describeTaskQueue({ namespace, taskQueue: { name: queue }, taskQueueType }),
    ),
  );
  const { count } = await workflowService.countWorkflowExecutions({
    namespace,
    query: `TaskQueue = ${quoted(queue)} AND ExecutionStatus = 'Running'`,
  });
  const pollers = kinds.map(({ pollers: found }) => found ?? []);
  const all = pollers.flat();
  const asked = all.flatMap(({ lastAccessTime }) => optionalTsToMs(lastAccessTime) ?? []);
  const builds = all.map(
    ({ deploymentOptions, workerVersionCapabilities: old }) => deploymentOptions?.buildId ?? old?.buildId,
  );
  return {
    queue,
    workers: eachOnce(all.map(({ identity }) => identity)),
    builds: eachOnce(builds),
    whole: pollers.every((found) => found.length > 0),
    versioned: all.some(({ deploymentOptions }) => deploymentOptions?.workerVersioningMode === versionedMode),
    lastAsked: asked.length === 0 ? undefined : Math.max(...asked),
    open: Number(count),
  };
}

function eachOnce(texts: readonly (string | null | undefined)[]): string[] {
  return [...new Set(texts.flatMap((text) => text || []))].toSorted();
}

/** Who does the work of a queue, and of which builds they are. */
export function workersOf({ queue, workers, builds, whole, versioned, open }: Pollers): Finding {
  const runs = open === 1 ? '1 run is' : `${open} runs are`;
  const start = `Start one: ${keystride} worker`;
  if (workers.length === 0)
    return open > 0
      ? bad('workers', `nobody polls task queue ${queue}, and ${runs} open on it`, start)
      : warn('workers', `nobody polls task queue ${queue}: what is started waits`, start);
  const shown = workers.length > 5 ? [...workers.slice(0, 5), `${workers.length - 5} more`] : workers;
  const of = builds.length > 0 ? `; build ${builds.map((build) => build.slice(0, 40)).join(', ')}` : '';
  const told = `task queue ${queue}: ${workers.length} (${shown.join(', ')})${of}`;
  if (!whole)
    return warn(
      'workers',
      `${told}: they have asked for a part of the work alone, for five minutes`,
      `Look whether all that they can have in hand is long at work; else start whole workers: ${keystride} worker`,
    );
  return builds.length > 1 && !versioned
    ? warn(
        'workers',
        `${told}: a run may go from one build to the other`,
        'Finish the deployment, or keep runs with their build: --deployment and --build-id of keystride worker.',
      )
    : ok('workers', told);
}

/**
 * Temporal's clock against that of this machine, by the latest moment that it tells: when a worker asked last. A clock
 * that is behind by less than the minute that a worker waits for work cannot be told from a quiet queue.
 */
export function temporalClock(pollers: readonly Pollers[], now = Date.now()): Finding {
  const asked = pollers.flatMap(({ lastAsked }) => lastAsked ?? []);
  if (asked.length === 0) return ok('clock', 'Temporal: its clock shows when a worker polls, and none does');
  const off = Math.max(...asked) - now;
  const longestPoll = 70_000;
  return clockFinding('Temporal', off > 0 ? off : Math.min(0, off + longestPoll));
}
