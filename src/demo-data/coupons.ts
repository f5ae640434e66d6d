import type pg from 'pg';
import {
  defaultSeed,
  fillDatabase,
  inBatches,
  refuseImpossibleCount,
  type DemoDataOptions,
} from './database.ts';

/** What the tables hold afterwards, rows that were there before included. */
export interface DemoCoupons {
  /** The coupon that has expired: the parameter `expiredCouponId` of couponExchange. */
  couponId: number;
  /** Coupons in members' hands that were that one when they were made. */
  memberCoupons: number;
  /** Those that are it still and are unused: what couponExchange exchanges. */
  unused: number;
  /** Their members: whom couponExchange notifies. */
  members: number;
}

/**
 * Makes one coupon that has expired, and gives it to members in `member_coupon` of the target database. One in ten
 * is used already; many members hold several.
 *
 * Ids of `member_coupon` are 1 and on. Doing it again adds nothing that is there; a larger count adds the rest. Rows are
 * made by the database, a batch a statement.
 *
 * @throws Error when the count is out of range and when the tables do not exist; names the database without
 *   credentials
 */
export async function createDemoCoupons(options: DemoDataOptions): Promise<DemoCoupons> {
  const { databaseUrl, count, seed = defaultSeed, reset, onProgress } = options;
  refuseImpossibleCount(count, 'coupons');
  return fillDatabase('the target database', databaseUrl, async (client) => {
    if (reset) await empty(client);
    const couponId = await expiredCoupon(client);
    const insert = (first: number, last: number) =>
      client.query(insertMemberCoupons, [first, last, String(seed), couponId]);
    await inBatches(count, insert, onProgress);
    // The ids were chosen here: the next coupon of anybody else comes after them.
    await client.query(
      `select setval(pg_get_serial_sequence('public.member_coupon', 'id'), (select max(id) from public.member_coupon))`,
    );
    // A plan made for an empty table would read a million rows by nested loops.
    await client.query('analyze public.coupon, public.member_coupon');
    return countCoupons(client, couponId);
  });
}

/** The outbox may hold the messages of other jobs, which are none of our business. */
async function empty(client: pg.Client): Promise<void> {
  await client.query('truncate public.coupon, public.member_coupon restart identity');
  await client.query(`delete from public.outbox where topic like 'couponExchange:%'`);
}

/** The coupon of an earlier call, or a new one. */
async function expiredCoupon(client: pg.Client): Promise<string> {
  await client.query(
    `insert into public.coupon (name, description, amount_type, amount, created_by_instance)
     values ('Spring sale', 'For orders until the end of May.', 'FIX', 3000, 'demo-data')
     on conflict (created_by_instance) do nothing`,
  );
  const { rows } = await client.query<{ id: string }>(
    `select id from public.coupon where created_by_instance = 'demo-data'`,
  );
  return (rows[0] as { id: string }).id;
}

/** Everything random is a hash of the id and the seed. A member's coupons lie fifty or a hundred ids apart. */
const insertMemberCoupons = `
  insert into public.member_coupon (id, member_id, coupon_id, status) overriding system value
  select n,
         1 + abs(n - 50 * ((hashint8extended(n, seed) & 2147483647) % 3)),
         $4::bigint,
         case when (hashint8extended(n, seed + 1) & 2147483647) % 10 = 0 then 'USED' else 'UNUSED' end
    from generate_series($1::bigint, $2::bigint) as n,
         -- Half the range of a bigint, so that adding to it stays within.
         (select hashtextextended($3::text, 0) / 2 as seed) as seeds
   order by n
  on conflict (id) do nothing`;

async function countCoupons(client: pg.Client, couponId: string): Promise<DemoCoupons> {
  const { rows } = await client.query<Record<'all' | 'unused' | 'members', string>>(
    `select count(*) as all,
            count(*) filter (where coupon_id = $1 and status = 'UNUSED') as unused,
            count(distinct member_id) filter (where coupon_id = $1 and status = 'UNUSED') as members
       from public.member_coupon where $1 in (coupon_id, exchanged_from)`,
    [couponId],
  );
  const { all, unused, members } = rows[0] ?? {};
  return {
    couponId: Number(couponId),
    memberCoupons: Number(all),
    unused: Number(unused),
    members: Number(members),
  };
}
