import type { evenNumbers as contract } from '../contract/even-numbers.ts';
import type { InputOf } from '../../packages/keystride/src/contract/job.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { runJob } from '../../packages/keystride/src/workflow/run-job.ts';

/** Writes the even numbers of a range to the log. */
export async function evenNumbers(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob('evenNumbers', parameters, async (job) => {
    await job.step('print');
  });
}
