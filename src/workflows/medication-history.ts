import type { InputOf } from '../../packages/keystride/src/contract/job.ts';
import type { medicationHistory as contract } from '../contract/medication-history.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { runJob } from '../../packages/keystride/src/workflow/run-job.ts';

/** Takes the nightly snapshot of everybody's medication. */
export async function medicationHistory(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob('medicationHistory', parameters, async (job) => {
    await job.step('snapshot');
  });
}
