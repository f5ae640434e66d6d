import type { InputOf } from '../../packages/keystride/src/contract/job.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import type { purchaseConfirmation as contract } from '../contract/purchase-confirmation.ts';
import { runJob } from '../../packages/keystride/src/workflow/run-job.ts';

/** Confirms every order that was delivered before a date. */
export async function purchaseConfirmation(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob('purchaseConfirmation', parameters, async (job) => {
    await job.step('confirm');
  });
}
