import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type { medicationHistory as contract } from '../contract/medication-history.ts';

/** Takes the nightly snapshot of everybody's medication. */
export async function medicationHistory(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob<typeof contract>(parameters, async (job) => {
    await job.step('snapshot');
  });
}
