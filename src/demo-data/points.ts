import type pg from 'pg';
import {
  defaultSeed,
  fillDatabase,
  inBatches,
  refuseImpossibleCount,
  type DemoDataOptions,
} from './database.ts';

/** What to fill `point_event` with. */
export interface DemoPointsOptions extends DemoDataOptions {
  /** The members who have events. @default a tenth of the events */
  members?: number;
}

/** What the table holds afterwards, rows that were there before included. */
export interface DemoPoints {
  events: number;
  members: number;
}

/**
 * Fills `point_event` of the target database: seven accruals to two uses and one expiry, at any microsecond of the
 * first five days of October 2025.
 *
 * Ids are 1 and on. Doing it again adds nothing that is there; a larger count adds the rest. Rows are made by the
 * database, a batch a statement.
 *
 * @throws Error when the count is out of range and when a table does not exist; names the database without credentials
 */
export async function createDemoPoints(options: DemoPointsOptions): Promise<DemoPoints> {
  const { databaseUrl, count, seed = defaultSeed, reset, onProgress } = options;
  refuseImpossibleCount(count, 'events');
  const { members = Math.ceil(count / 10) } = options;
  refuseImpossibleCount(members, 'members');
  return fillDatabase('the target database', databaseUrl, async (client) => {
    if (reset) await client.query(emptyTables);
    const insert = (first: number, last: number) =>
      client.query(insertEvents, [first, last, String(seed), members]);
    await inBatches(count, insert, onProgress);
    // The ids were chosen here: the next event of anybody else comes after them.
    await client.query(
      `select setval(pg_get_serial_sequence('public.point_event', 'id'), (select max(id) from public.point_event))`,
    );
    // A plan made for an empty table would read a million rows by nested loops.
    await client.query('analyze public.point_event');
    return countRows(client);
  });
}

/** The settlements too: of events that are no longer there they would say what is not so. */
const emptyTables = `truncate public.point_event, public.point_cut_off, public.point_settlement,
  public.point_daily_total restart identity`;

/** Everything random is a hash of the id and the seed; amounts are from 1 to 10,000 points. */
const insertEvents = `
  insert into public.point_event (id, member_id, type, amount, occurred_at) overriding system value
  select n,
         1 + (hashint8extended(n, seed) & 2147483647) % $4::bigint,
         (array['ACCRUE', 'ACCRUE', 'ACCRUE', 'ACCRUE', 'ACCRUE', 'ACCRUE', 'ACCRUE', 'USE', 'USE', 'EXPIRE'])
           [1 + (hashint8extended(n, seed + 1) & 2147483647) % 10],
         1 + (hashint8extended(n, seed + 2) & 2147483647) % 10000,
         timestamptz '2025-10-01 00:00:00Z'
           + ((hashint8extended(n, seed + 3) & 9007199254740991) % 432000000000) * interval '1 microsecond'
    from generate_series($1::bigint, $2::bigint) as n,
         -- Half the range of a bigint, so that adding to it stays within.
         (select hashtextextended($3::text, 0) / 2 as seed) as seeds
   order by n
  on conflict (id) do nothing`;

async function countRows(client: pg.Client): Promise<DemoPoints> {
  const { rows } = await client.query<{ events: string; members: string }>(
    'select count(*) as events, count(distinct member_id) as members from public.point_event',
  );
  return { events: Number(rows[0]?.events), members: Number(rows[0]?.members) };
}
