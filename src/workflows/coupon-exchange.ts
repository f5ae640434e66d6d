import type { couponExchange as contract } from '../contract/coupon-exchange.ts';
import type { InputOf } from '../../packages/keystride/src/contract/job.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { runJob } from '../../packages/keystride/src/workflow/run-job.ts';

/** Creates the new coupon, exchanges the expired one for it, then tells the members. */
export async function couponExchange(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob('couponExchange', parameters, async (job) => {
    await job.step('createCoupon');
    await job.step('exchangeCoupons');
    await job.step('notifyMembers');
  });
}
