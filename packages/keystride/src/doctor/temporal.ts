import type { Client, Connection } from '@temporalio/client';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';
import { searchAttributeTypes } from '../contract/search-attributes.ts';
import { keystride } from '../operator/called-as.ts';
import { type PolledQueue, readQueue } from '../operator/health/workers.ts';
import { quoted } from '../host/query-text.ts';
import { clockFinding } from './database.ts';
import { bad, failed, type Finding, ok, warn } from '../operator/finding.ts';

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

/** A task queue, who has polled it, and the runs that are open on it. */
export interface ServedQueue extends PolledQueue {
  readonly open: number;
}

/** Asks Temporal who polls a queue, and for how many runs. */
export async function servedQueue(client: Client, taskQueue: string): Promise<ServedQueue> {
  const query = `TaskQueue = ${quoted(taskQueue)} AND ExecutionStatus = 'Running'`;
  const [polled, { count }] = await Promise.all([readQueue(client, taskQueue), client.workflow.count(query)]);
  return { ...polled, open: count };
}

/** Who does the work of a queue, and of which builds they are. */
export function workersOf({ taskQueue: queue, pollers, open }: ServedQueue): Finding {
  const workers = pollers.map(({ identity }) => identity).toSorted();
  const builds = [...new Set(pollers.flatMap(({ build }) => build ?? []))].toSorted();
  const runs = open === 1 ? '1 run is' : `${open} runs are`;
  const start = `Start one: ${keystride} worker`;
  if (workers.length === 0)
    return open > 0
      ? bad('workers', `nobody polls task queue ${queue}, and ${runs} open on it`, start)
      : warn('workers', `nobody polls task queue ${queue}: what is started waits`, start);
  const shown = workers.length > 5 ? [...workers.slice(0, 5), `${workers.length - 5} more`] : workers;
  const of = builds.length > 0 ? `; build ${builds.map((build) => build.slice(0, 40)).join(', ')}` : '';
  const told = `task queue ${queue}: ${workers.length} (${shown.join(', ')})${of}`;
  const taken = new Set(pollers.flatMap(({ takes }) => takes));
  if (taken.size < 2)
    return warn(
      'workers',
      `${told}: they have asked for a part of the work alone, for five minutes`,
      `Look whether all that they can have in hand is long at work; else start whole workers: ${keystride} worker`,
    );
  return builds.length > 1 && !pollers.some(({ versioned }) => versioned)
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
export function temporalClock(queues: readonly PolledQueue[], now = Date.now()): Finding {
  const asked = queues.flatMap(({ pollers }) => pollers.map(({ lastSeenAt }) => Date.parse(lastSeenAt)));
  if (asked.length === 0) return ok('clock', 'Temporal: its clock shows when a worker polls, and none does');
  const off = Math.max(...asked) - now;
  const longestPoll = 70_000;
  return clockFinding('Temporal', off > 0 ? off : Math.min(0, off + longestPoll));
}
