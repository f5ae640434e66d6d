import { MongoClient } from 'mongodb';
import pg from 'pg';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { noteWrites } from '../../packages/keystride/src/prove/audit.ts';
import { ignoredColumns, type IgnoredColumns } from '../../packages/keystride/src/prove/columns.ts';
import { compareEffects, readEffects, type Effects } from '../../packages/keystride/src/prove/effects.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let client: pg.Client;
let mongo: MongoClient;
let since: Date;
let ignored: IgnoredColumns;

beforeEach(async () => {
  database = await testDatabase('target');
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(`
    CREATE SCHEMA "Billing";
    CREATE TABLE "Billing".line (id int PRIMARY KEY, amount int, changed_at timestamptz);
    CREATE TABLE "Billing".entry (day date, amount int) PARTITION BY RANGE (day);
    CREATE TABLE "Billing".entry_2026 PARTITION OF "Billing".entry FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')`);
  await noteWrites(client);
  const url = new URL(inject('keystride').mongodbUrl ?? '');
  url.pathname = `/keystride_test_effects_${crypto.randomUUID().slice(0, 8)}`;
  mongo = await MongoClient.connect(url.href);
  since = new Date();
});

afterEach(async () => {
  await mongo.db().dropDatabase();
  await mongo.close();
  await client.end();
  await database.drop();
});

const upload = '2020-02-29T23:59:59.123456Z';

async function migrate(key: string, uploadedAt = upload): Promise<void> {
  await client.query(
    `INSERT INTO migration_target (ticket_key, uploaded_at, migrated_at) VALUES ($1, $2, clock_timestamp())
         ON CONFLICT (ticket_key) DO UPDATE SET uploaded_at = excluded.uploaded_at, migrated_at = excluded.migrated_at`,
    [key, uploadedAt],
  );
  const document = { _id: key as never, epoch: 1, text: 'one two', storedAt: new Date() };
  await mongo.db().collection('extracts').replaceOne({ _id: document._id }, document, { upsert: true });
}

/** What is there now, after which everything is taken away. */
async function take(): Promise<Effects> {
  ignored ??= await ignoredColumns(database.url, since);
  const effects = await readEffects(database.url, mongo.db(), ignored, since);
  await client.query('TRUNCATE migration_target; TRUNCATE keystride_prove.written');
  await mongo.db().dropDatabase();
  return effects;
}

test('the same work at another time, under other ids, has the same effects', async () => {
  await migrate('a');
  await migrate('b');
  const expected = await take();
  expect([...(ignored.get('public.migration_target') ?? [])].toSorted()).toEqual(['id', 'migrated_at']);
  await migrate('b');
  await migrate('a');
  expect(compareEffects(expected, await take())).toEqual({ lost: 0, doubled: 0, differences: [] });
});

test('what is missing, too many, written twice or cut by a microsecond shows', async () => {
  await migrate('a');
  await migrate('b');
  const expected = await take();

  await migrate('a');
  expect(compareEffects(expected, await take())).toMatchObject({ lost: 3, doubled: 0 });

  for (const key of ['a', 'b', 'c']) await migrate(key);
  expect(compareEffects(expected, await take())).toMatchObject({ lost: 0, doubled: 3 });

  // An upsert done twice leaves the same rows: only the note of the write tells.
  for (const key of ['a', 'b', 'b']) await migrate(key);
  expect(compareEffects(expected, await take())).toEqual({
    lost: 0,
    doubled: 1,
    differences: ['writes to public.migration_target: 0 missing, 1 too many'],
  });

  await migrate('a');
  await migrate('b', '2020-02-29T23:59:59.123Z');
  expect(compareEffects(expected, await take())).toMatchObject({ lost: 2, doubled: 2 });
});

test('a write that is rolled back is none', async () => {
  await migrate('a');
  const expected = await take();
  await client.query('BEGIN');
  await client.query(`INSERT INTO migration_target (ticket_key) VALUES ('b')`);
  await client.query('ROLLBACK');
  await migrate('a');
  expect(compareEffects(expected, await take())).toMatchObject({ lost: 0, doubled: 0 });
});

test('tables of other schemas are looked at too, and a partitioned one by its own name', async () => {
  const bill = (lines: number[], days: string[]) =>
    client.query(
      `WITH entry AS (INSERT INTO "Billing".entry SELECT unnest($2::date[]), 1)
       INSERT INTO "Billing".line SELECT unnest($1::int[]), 1, clock_timestamp()
           ON CONFLICT (id) DO UPDATE SET changed_at = excluded.changed_at`,
      [lines, days],
    );
  const left = async () => {
    const effects = await readEffects(
      database.url,
      undefined,
      await ignoredColumns(database.url, since),
      since,
    );
    await client.query('TRUNCATE "Billing".line, "Billing".entry, keystride_prove.written');
    return effects;
  };
  await bill([1, 2], ['2026-03-01']);
  const expected = await left();

  await bill([2, 1], ['2026-03-01']);
  expect(compareEffects(expected, await left())).toEqual({ lost: 0, doubled: 0, differences: [] });

  await bill([1, 2], ['2026-03-01']);
  await bill([1], ['2026-03-01']);
  expect(compareEffects(expected, await left()).differences).toEqual([
    'table "Billing".entry: 0 missing, 1 too many',
    'writes to "Billing".entry: 0 missing, 1 too many',
    'writes to "Billing".line: 0 missing, 1 too many',
  ]);
});
