/** Thrown through a job's flow when an operator has stopped it; `runJob` turns it into a stopped execution. */
export class JobStopped extends Error {
  override readonly name = 'JobStopped';
}

/** Thrown through a job's flow when the history has grown long; `runJob` continues the run as new. */
export class JobYielded extends Error {
  override readonly name = 'JobYielded';
}

/** What a flow has caught and told in words of its own is a stop all the same, or a history that has grown long. */
export function interruptionIn(error: unknown): JobStopped | JobYielded | undefined {
  for (let at = error; at instanceof Error; at = at.cause)
    if (at instanceof JobStopped || at instanceof JobYielded) return at;
  return undefined;
}
