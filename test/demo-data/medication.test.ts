import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDemoMedication } from '../../src/demo-data/medication.ts';
import { testDatabase } from '../support/database.ts';

let database: Awaited<ReturnType<typeof testDatabase>>;
let client: pg.Client;

beforeAll(async () => {
  database = await testDatabase('target');
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
}, 60_000);

afterAll(async () => {
  await client.end();
  await database.drop();
});

const readRows = async () =>
  (await client.query<Record<string, unknown>>('select * from management order by id')).rows;

test('the same seed makes the same rows, another seed makes others', async () => {
  const databaseUrl = database.url;
  const fill = (seed: string) => createDemoMedication({ databaseUrl, count: 500, seed, reset: true });
  expect(await fill('one')).toEqual({ management: 500, history: 0 });
  const rows = await readRows();
  await fill('one');
  expect(await readRows()).toEqual(rows);
  await fill('two');
  expect(await readRows()).not.toEqual(rows);
});

test('members 1 to 100, fifty medications, five days, every flag about as often set as not', async () => {
  await createDemoMedication({ databaseUrl: database.url, count: 10_000, reset: true });
  const { rows } = await client.query(
    `select min(member_id)::int as first, max(member_id)::int as last, count(distinct member_id)::int as members,
            count(distinct medication_name)::int as medications,
            min(start_date)::text as start, max(start_date)::text as last_start,
            min(end_date)::text as first_end, max(end_date)::text as end
       from management`,
  );
  expect(rows).toEqual([
    {
      first: 1,
      last: 100,
      members: 100,
      medications: 50,
      start: '2025-10-01',
      last_start: '2025-10-01',
      first_end: '2025-10-05',
      end: '2025-10-05',
    },
  ]);
  for (const flag of ['morning', 'lunch', 'dinner', 'sleep', 'morning_taking', 'sleep_taking']) {
    const set = (await readRows()).filter((row) => row[flag] === true).length;
    expect(set, flag).toBeGreaterThan(4_500);
    expect(set, flag).toBeLessThan(5_500);
  }
});

test('a second call adds what is missing and nothing else; what comes after it gets the next id', async () => {
  const databaseUrl = database.url;
  await createDemoMedication({ databaseUrl, count: 10, reset: true });
  const first = await readRows();
  expect(await createDemoMedication({ databaseUrl, count: 25 })).toMatchObject({ management: 25 });
  expect((await readRows()).slice(0, 10)).toEqual(first);
  const { rows: next } = await client.query(
    `insert into management (member_id, medication_name, start_date, end_date)
     values (1, 'next', now(), now()) returning id::int`,
  );
  expect(next).toEqual([{ id: 26 }]);
});

test('refuses what it cannot do, and says why', async () => {
  await expect(createDemoMedication({ databaseUrl: database.url, count: 0 })).rejects.toThrow(
    /positive whole number/,
  );
});
