import type { InputOf } from '../contract/job.ts';
import type { medicationHistory as contract } from '../contract/medication-history.ts';
import type { JobProgress } from '../contract/progress.ts';
import { runJob } from '../engine/workflow/run-job.ts';

/** Takes the nightly snapshot of everybody's medication. */
export async function medicationHistory(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob('medicationHistory', parameters, async (job) => {
    await job.step('snapshot');
  });
}
