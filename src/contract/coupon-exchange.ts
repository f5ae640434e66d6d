import { z } from 'zod';
import { chunkStep, defineJob, taskletStep } from 'keystride';

const amounts = z.object({
  amountType: z.enum(['FIX', 'RATE']).describe('FIX: won off the price; RATE: percent of it'),
  amount: z.int().min(1).describe('won for FIX, 1 to 100 for RATE'),
});

/** Replaces a coupon that has expired by a new one, and tells each member who had it. */
export const couponExchange = defineJob({
  name: 'couponExchange',
  description: 'Exchange the unused coupons of one kind for a new one, and notify their members',
  parameters: z
    .object({
      name: z.string().trim().min(1).max(100).describe('of the new coupon'),
      description: z.string().trim().max(500).describe('what the new coupon is good for'),
      ...amounts.shape,
      expiredCouponId: z.int().min(1).describe('the coupon whose unused ones are exchanged'),
    })
    .refine(({ amountType, amount }) => amountType !== 'RATE' || amount <= 100, {
      path: ['amount'],
      error: 'Too big: a RATE is 1 to 100',
      // Told together with what is wrong elsewhere, as long as the two fields make sense by themselves.
      when: ({ value }) => amounts.safeParse(value).success,
    }),
  steps: {
    createCoupon: taskletStep<{ readonly couponId: string }>(),
    exchangeCoupons: chunkStep({ chunkSize: 10, skipLimit: 1000 }),
    notifyMembers: chunkStep({ chunkSize: 100, concurrency: 20, pageSeconds: 30, skipLimit: 100 }),
  },
});
