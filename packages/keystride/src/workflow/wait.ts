import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';
import type { JobRun } from './job-run.ts';

/**
 * Waits between two pieces of a flow. A pause, a stop or a new history ends the wait; after a pause the flow goes on at
 * once.
 *
 * @param seconds how long.
 * @throws JobStopped, JobYielded when no more work is to begin.
 */
export async function waitBetween(run: JobRun, seconds: number): Promise<void> {
  const scope = new CancellationScope();
  const interrupt = () => {
    if (run.mustRest) scope.cancel();
  };
  try {
    await run.work.whileWorking(interrupt, () => scope.run(() => sleep(seconds * 1000)));
  } catch (error) {
    if (!isCancellation(error)) throw error;
  }
  await run.ready();
}
