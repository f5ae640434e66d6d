import type { Settings } from './environment.ts';
import type { ConfigProblem } from './secret-files.ts';
import { allTaskQueues, type TaskQueues } from './task-queues.ts';

/** Shares of the whole machine, 0 to 1, above which a worker takes no more pages. */
export interface LoadTarget {
  readonly cpu: number;
  readonly memory: number;
}

/** Where runs go, and which of these task queues a worker polls; what is wrong with that is added to the problems. */
export function queuesOf(
  settings: Settings,
  problems: ConfigProblem[],
  otherwise = 'keystride',
): TaskQueues & { readonly workerQueues: readonly string[] } {
  const taskQueue = settings.KEYSTRIDE_TASK_QUEUE ?? otherwise;
  const queues = settings.KEYSTRIDE_QUEUES ?? {};
  const known = allTaskQueues({ taskQueue, queues });
  const workerQueues = settings.KEYSTRIDE_WORKER_QUEUES ?? known;
  const unknown = workerQueues.filter((queue) => !known.includes(queue));
  const malformed = problems.some(({ variable }) => variable === 'KEYSTRIDE_QUEUES');
  if (unknown.length > 0 && !malformed) {
    const problem = `names ${unknown.join(', ')}, to which no runs go: KEYSTRIDE_QUEUES and KEYSTRIDE_TASK_QUEUE name ${known.join(', ')}`;
    problems.push({ variable: 'KEYSTRIDE_WORKER_QUEUES', problem });
  }
  return { taskQueue, queues, workerQueues };
}

/** A worker that is to keep one of the two keeps a usual measure of the other. */
export function targetOf({
  KEYSTRIDE_TARGET_CPU: cpu,
  KEYSTRIDE_TARGET_MEMORY: memory,
}: Settings): LoadTarget | undefined {
  return cpu === undefined && memory === undefined ? undefined : { cpu: cpu ?? 0.9, memory: memory ?? 0.8 };
}
