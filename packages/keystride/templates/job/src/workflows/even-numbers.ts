import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type { evenNumbers as contract } from '../contract/even-numbers.ts';

/** Writes the even numbers of a range to the log. */
export async function evenNumbers(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob<typeof contract>(parameters, async (job) => {
    await job.step('print');
  });
}
