import type pg from 'pg';
import {
  defaultSeed,
  fillDatabase,
  inBatches,
  refuseImpossibleCount,
  type DemoDataOptions,
} from './database.ts';

/** What to fill `orders` with. */
export interface DemoOrdersOptions extends DemoDataOptions {
  /** Every so many orders one has a negative amount. @default none has */
  negativeEvery?: number;
  /** The share, 0 to 1, of orders that have been delivered. @default 0.95 */
  deliveredShare?: number;
}

/** What the table holds afterwards, rows that were there before included. */
export interface DemoOrders {
  orders: number;
  /** Delivered, and not confirmed yet. */
  unconfirmed: number;
}

/**
 * Fills `orders` of the target database: delivered at any microsecond of September 2025, or still on the way.
 *
 * Ids are 1 and on. Doing it again adds nothing that is there; a larger count adds the rest. Rows are made by the
 * database, a batch a statement.
 *
 * @throws Error when an option is out of range and when the table does not exist; names the database without
 *   credentials
 */
export async function createDemoOrders(options: DemoOrdersOptions): Promise<DemoOrders> {
  const { databaseUrl, count, seed = defaultSeed, reset, onProgress } = options;
  const { negativeEvery = 0, deliveredShare = 0.95 } = options;
  refuseImpossibleCount(count, 'orders');
  return fillDatabase('the target database', databaseUrl, async (client) => {
    if (reset) await client.query('truncate public.orders restart identity');
    const insert = (first: number, last: number) =>
      client.query(insertOrders, [first, last, String(seed), negativeEvery, deliveredShare]);
    await inBatches(count, insert, onProgress);
    // The ids were chosen here: the next order of anybody else comes after them.
    await client.query(
      `select setval(pg_get_serial_sequence('public.orders', 'id'), (select max(id) from public.orders))`,
    );
    // A plan made for an empty table would read a million rows by nested loops.
    await client.query('analyze public.orders');
    return countOrders(client);
  });
}

/** Everything random is a hash of the id and the seed: customers 1 to 100,000, amounts from 1,000 to 499,999. */
const insertOrders = `
  insert into public.orders (id, customer_id, amount, status, delivered_at, created_at) overriding system value
  select n,
         1 + (hashint8extended(n, seed) & 2147483647) % 100000,
         (1000 + (hashint8extended(n, seed + 1) & 2147483647) % 499000)
           * case when $4::bigint > 0 and n % nullif($4::bigint, 0) = 0 then -1 else 1 end,
         case when delivered then 'DELIVERED' else 'SHIPPED' end,
         case when delivered then delivery end,
         delivery - interval '3 days'
    from (select n, seed,
                 (hashint8extended(n, seed + 2) & 2147483647) / 2147483648.0 < $5::float8 as delivered,
                 timestamptz '2025-09-01 00:00:00Z'
                   + ((hashint8extended(n, seed + 3) & 9007199254740991) % 2592000000000)
                     * interval '1 microsecond' as delivery
            from generate_series($1::bigint, $2::bigint) as n,
                 -- Half the range of a bigint, so that adding to it stays within.
                 (select hashtextextended($3::text, 0) / 2 as seed) as seeds) as made
   order by n
  on conflict (id) do nothing`;

async function countOrders(client: pg.Client): Promise<DemoOrders> {
  const { rows } = await client.query<{ orders: string; unconfirmed: string }>(
    `select count(*) as orders,
            count(*) filter (where delivered_at is not null and purchase_confirmed_at is null) as unconfirmed
       from public.orders`,
  );
  return { orders: Number(rows[0]?.orders), unconfirmed: Number(rows[0]?.unconfirmed) };
}
