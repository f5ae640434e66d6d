import type { InputOf } from '../../packages/keystride/src/contract/job.ts';
import type { pointSettlement as contract } from '../contract/point-settlement.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { runJob } from '../../packages/keystride/src/workflow/run-job.ts';

/** Decides which events belong to the day, sums them up by kind, side by side, and closes the books. */
export async function pointSettlement(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob('pointSettlement', parameters, async (job) => {
    await job.step('cutOff');
    await Promise.all([job.step('accrual'), job.step('usage'), job.step('expiry')]);
    await job.step('total');
  });
}
