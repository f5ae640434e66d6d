import type { Command } from 'commander';
import { count, keystride } from 'keystride/command';
import { createDemoCoupons } from '../../demo-data/coupons.ts';
import { kindCommand, makeKind, type KindOptions } from './kind.ts';

const help = `
The rows go into tables coupon and member_coupon of the target database (DATABASE_URL), where couponExchange finds
them: one coupon that has expired, in the hands of members of whom many hold several. One in ten is used already.

Examples:
  $ keystride demo-data coupons --count 1000
  $ keystride demo-data coupons --count 1000000 --seed 7 --reset`;

/** `keystride demo-data coupons` */
export function couponsCommand(): Command {
  return kindCommand('coupons', 'coupons in the hands of members, of a kind that has expired', help).action(
    coupons,
  );
}

function coupons(options: KindOptions): Promise<void> {
  return makeKind(options, 'coupons', createDemoCoupons, (made) => ({
    told:
      `${count(made.memberCoupons)} coupons, ${count(made.unused)} of them unused, ` +
      `held by ${count(made.members)} members`,
    next:
      `${keystride} start couponExchange --param name="Autumn sale" --param description="For a month." ` +
      `--param amountType=RATE --param amount=10 --param expiredCouponId=${made.couponId} --watch`,
  }));
}
