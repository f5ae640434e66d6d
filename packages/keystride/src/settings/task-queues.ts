/** Which task queue the runs of a job go to. */
export interface TaskQueues {
  /** `KEYSTRIDE_TASK_QUEUE`: of every job that has no queue of its own. @default keystride */
  readonly taskQueue: string;
  /** `KEYSTRIDE_QUEUES`: the queues of those that have one, by job. @default none */
  readonly queues: Readonly<Record<string, string>>;
}

/** The task queue of a job's runs; their partitions and activities stay on it. */
export function taskQueueOf({ taskQueue, queues }: TaskQueues, job: string): string {
  return queues[job] ?? taskQueue;
}

/** Every task queue that runs go to, the one of all other jobs first. */
export function allTaskQueues({ taskQueue, queues }: TaskQueues): string[] {
  return [...new Set([taskQueue, ...Object.values(queues)])];
}
