import type { InputOf } from '../contract/job.ts';
import type { JobProgress } from '../contract/progress.ts';
import type { purchaseConfirmation as contract } from '../contract/purchase-confirmation.ts';
import { runJob } from '../engine/workflow/run-job.ts';

/** Confirms every order that was delivered before a date. */
export async function purchaseConfirmation(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob('purchaseConfirmation', parameters, async (job) => {
    await job.step('confirm');
  });
}
