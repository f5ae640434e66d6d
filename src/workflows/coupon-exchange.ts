import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type { couponExchange as contract } from '../contract/coupon-exchange.ts';

/** Creates the new coupon, exchanges the expired one for it, then tells the members. */
export async function couponExchange(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob<typeof contract>(parameters, async (job) => {
    await job.step('createCoupon');
    await job.step('exchangeCoupons');
    await job.step('notifyMembers');
  });
}
