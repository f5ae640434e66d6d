import type pg from 'pg';
import {
  defaultSeed,
  fillDatabase,
  inBatches,
  refuseImpossibleCount,
  type DemoDataOptions,
} from './database.ts';

/** What the tables hold afterwards, rows that were there before included. */
export interface DemoMedication {
  management: number;
  history: number;
}

/**
 * Fills `management` of the target database: members 1 to 100, fifty medications, each taken from the first to the
 * fifth of October 2025, at random times of the day.
 *
 * Ids are 1 and on. Doing it again adds nothing that is there; a larger count adds the rest. Rows are made by the
 * database, a batch a statement.
 *
 * @throws Error when the count is out of range and when a table does not exist; names the database without credentials
 */
export async function createDemoMedication(options: DemoDataOptions): Promise<DemoMedication> {
  const { databaseUrl, count, seed = defaultSeed, reset, onProgress } = options;
  refuseImpossibleCount(count, 'medications');
  return fillDatabase('the target database', databaseUrl, async (client) => {
    if (reset) await client.query('truncate public.management, public.history restart identity');
    const insert = (first: number, last: number) =>
      client.query(insertManagement, [first, last, String(seed)]);
    await inBatches(count, insert, onProgress);
    // The ids were chosen here: the next row of anybody else comes after them.
    await client.query(
      `select setval(pg_get_serial_sequence('public.management', 'id'), (select max(id) from public.management))`,
    );
    // A plan made for an empty table would read a million rows by nested loops.
    await client.query('analyze public.management');
    return countRows(client);
  });
}

/** Everything random is one hash of the id and the seed, a few bits of it for each column. */
const insertManagement = `
  insert into public.management (
    id, member_id, medication_name, morning, lunch, dinner, sleep,
    morning_taking, lunch_taking, dinner_taking, sleep_taking, start_date, end_date, created_at, modified_at
  ) overriding system value
  select n,
         1 + (hash >> 8 & 65535) % 100,
         'Medication ' || lpad((1 + (hash >> 24 & 65535) % 50)::text, 2, '0'),
         hash & 1 <> 0, hash & 2 <> 0, hash & 4 <> 0, hash & 8 <> 0,
         hash & 16 <> 0, hash & 32 <> 0, hash & 64 <> 0, hash & 128 <> 0,
         date '2025-10-01', date '2025-10-05',
         timestamptz '2025-09-30 00:00:00Z', timestamptz '2025-09-30 00:00:00Z'
    from generate_series($1::bigint, $2::bigint) as n,
         hashtextextended($3::text, 0) as seed,
         hashint8extended(n, seed) as hash
   order by n
  on conflict (id) do nothing`;

async function countRows(client: pg.Client): Promise<DemoMedication> {
  const { rows } = await client.query<{ management: string; history: string }>(
    `select (select count(*) from public.management) as management, (select count(*) from public.history) as history`,
  );
  return { management: Number(rows[0]?.management), history: Number(rows[0]?.history) };
}
