/**
 * The states of a job execution and the only ways from one to another.
 *
 * An edge that is not in this table is not taken: a run stays in its state, so that none is overwritten by an event
 * that arrives late (a pause that crosses a stop, a page that ends after the job has failed).
 */
export const jobStatuses = [
  'starting',
  'running',
  'pausing',
  'paused',
  'throttled',
  'holding',
  'stopping',
  'completed',
  'completedWithSkips',
  'stopped',
  'failed',
] as const;

export type JobStatus = (typeof jobStatuses)[number];

const transitions: Record<JobStatus, readonly JobStatus[]> = {
  // The instance is claimed → running. A claim or parameters that are refused → failed.
  starting: ['running', 'pausing', 'stopping', 'failed'],
  // A health check or a limit holds work back → throttled. A failure under onFailure 'hold' → holding.
  running: ['pausing', 'throttled', 'holding', 'stopping', 'completed', 'completedWithSkips', 'failed'],
  // The chunks in hand commit → paused. What fails or finishes meanwhile has failed or finished.
  pausing: ['running', 'paused', 'stopping', 'completed', 'completedWithSkips', 'failed'],
  // Another branch of the flow may fail meanwhile: one that was just beginning or completing a step.
  paused: ['running', 'stopping', 'failed'],
  // The gate opens → running. A branch that was not throttled may fail meanwhile, and hold or end the job.
  throttled: ['running', 'pausing', 'holding', 'stopping', 'failed'],
  // The operator decides: resume, skip or stop. Another branch of the flow may fail meanwhile.
  holding: ['running', 'stopping', 'failed'],
  // The chunks in hand commit → stopped. The last chunk may have been the last one of the job.
  stopping: ['stopped', 'completed', 'completedWithSkips', 'failed'],
  completed: [],
  completedWithSkips: [],
  stopped: [],
  failed: [],
};

/** Whether an execution in `from` may come to be in `to`. */
export function mayBecome(from: JobStatus, to: JobStatus): boolean {
  return transitions[from].includes(to);
}

/** An execution in this state does nothing more. */
export function isFinal(status: JobStatus): boolean {
  return transitions[status].length === 0;
}
