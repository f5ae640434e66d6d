import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type { purchaseConfirmation as contract } from '../contract/purchase-confirmation.ts';

/** Confirms every order that was delivered before a date. */
export async function purchaseConfirmation(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob<typeof contract>(parameters, async (job) => {
    await job.step('confirm');
  });
}
