import { CancellationScope, isCancellation, patched, sleep, workflowInfo } from '@temporalio/workflow';
import { waitUntilDue } from '../contract/level.ts';
import { dueActivity } from './activities.ts';
import type { JobRun } from './job-run.ts';

/**
 * Waits between two pieces of a flow. A pause, a stop or a new history ends the wait; after a pause the flow goes on at
 * once.
 *
 * @param seconds how long.
 * @param step the wait goes on until this step is due, as its work tells every so many seconds.
 * @throws JobStopped, JobYielded when no more work is to begin.
 */
export async function waitBetween(run: JobRun, seconds: number, step?: string): Promise<void> {
  const scope = new CancellationScope();
  const interrupt = () => {
    if (run.mustRest) scope.cancel();
  };
  try {
    await run.work.whileWorking(interrupt, () => scope.run(() => wait(run, seconds, step)));
  } catch (error) {
    if (!isCancellation(error)) throw error;
  }
  await run.ready();
}

/** How long a step is waited for that is not due, in seconds: three hours are some six events of a history. */
const longestWait = 10_800;

async function wait(run: JobRun, seconds: number, step?: string): Promise<void> {
  if (step === undefined || !patched(waitUntilDue)) return sleep(seconds * 1000);
  const { claim, parameters } = run.opened;
  const mostSeconds = Math.max(longestWait, seconds);
  const { awaitDue } = dueActivity(mostSeconds);
  const until = Date.now() + mostSeconds * 1000;
  try {
    // A worker without room for the wait looks once.
    while (!(await awaitDue({ claim, step, parameters, everySeconds: seconds, mostSeconds }))) {
      if (Date.now() >= until || workflowInfo().continueAsNewSuggested) return;
      await sleep(seconds * 1000);
    }
  } catch (error) {
    // To go on is safe: what keeps a worker from looking keeps the step from its work too, and is told there.
    if (isCancellation(error)) throw error;
  }
}
