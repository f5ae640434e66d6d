import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type { pointSettlement as contract } from '../contract/point-settlement.ts';

/** Decides which events belong to the day, sums them up by kind, side by side, and closes the books. */
export async function pointSettlement(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob<typeof contract>(parameters, async (job) => {
    await job.step('cutOff');
    await Promise.all([job.step('accrual'), job.step('usage'), job.step('expiry')]);
    await job.step('total');
  });
}
