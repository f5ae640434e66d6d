import type { InputOf } from '../contract/job.ts';
import type { JobProgress } from '../contract/progress.ts';
import type { targetSync as contract } from '../contract/target-sync.ts';
import { runJob } from '../engine/workflow/run-job.ts';

/** Copies the documents that are still to be migrated, then remembers how far it came. */
export async function targetSync(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob('targetSync', parameters, async (job) => {
    await job.step('copy');
    await job.step('remember');
  });
}
