import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { rolledBackPool } from '../../packages/keystride/src/stores/postgres/rolled-back.ts';
import { SessionClient } from '../../packages/keystride/src/stores/postgres/session.ts';
import { inTransaction } from '../../packages/keystride/src/stores/postgres/transaction.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { setOtherwise } from '../support/odd-settings.ts';
import { TransactionPooler } from '../support/transaction-pooler.ts';

let database: TestDatabase;
let pooler: TransactionPooler;

beforeAll(async () => {
  database = await testDatabase('source');
  await setOtherwise(database.url, 0);
  await setOtherwise(database.url, 1);
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(`CREATE SCHEMA evil; CREATE FUNCTION evil.md5(text) RETURNS text RETURN 'not this one';
    ALTER DATABASE ${client.escapeIdentifier(client.database ?? '')} SET search_path = evil, pg_catalog, public`);
  await client.end();
  pooler = await TransactionPooler.start(database.url);
});

afterAll(async () => {
  await pooler?.stop();
  await database?.drop();
});

/** Values that are written otherwise under other settings, and what else a session decides. */
const look = `SELECT timestamptz '2025-03-04 05:06:07.000001+00'::text AS at, date '2025-03-04'::text AS day,
  '03/04/2025'::date::text AS read, interval '-1 day 02:03:04'::text AS span, (0.1::float8 + 0.2::float8)::text AS sum,
  '\\x00ff5c'::bytea::text AS bytes, 12.34::text::money::text AS money, '{NULL}'::text[] = ARRAY[NULL]::text[] AS nulls,
  'a\\b' AS backslash, '<a/><b/>'::xml::text AS xml, '2025-01-01 00:00 IST'::timestamptz::text AS zone,
  md5('') = 'd41d8cd98f00b204e9800998ecf8427e' AS ours, current_setting('search_path') AS path,
  current_setting('gin_fuzzy_search_limit') AS fuzzy, current_setting('synchronous_commit') AS durable, current_setting('transaction_isolation') AS isolation`;

const expected = {
  at: '2025-03-04 05:06:07.000001+00',
  day: '2025-03-04',
  read: '2025-03-04',
  span: '-1 days +02:03:04',
  sum: '0.30000000000000004',
  bytes: '\\x00ff5c',
  money: '$12.34',
  nulls: true,
  backslash: 'a\\b',
  xml: '<a/><b/>',
  zone: '2024-12-31 22:00:00+00',
  ours: true,
  path: '"evil", "public"',
  fuzzy: '0',
  durable: 'local',
  isolation: 'read committed',
};

describe.each(['directly', 'through a pooler of transactions'])('%s', (way) => {
  const url = () => (way === 'directly' ? database.url : pooler.urlOf(database.url));

  test('every session says values in one way, whatever the database has set', async () => {
    const pool = createPool(url(), 'keystride test', 4);
    try {
      const alone = await Promise.all(Array.from({ length: 9 }, () => pool.query(look)));
      for (const { rows } of alone) expect(rows).toEqual([expected]);
      expect(await inTransaction(pool, async (transaction) => (await transaction.query(look)).rows)).toEqual([
        expected,
      ]);
      expect((await pool.query('SELECT $1::text AS given', ['x'])).rows).toEqual([{ given: 'x' }]);
    } finally {
      await pool.end();
    }
  });

  test('the command line and the trial of a job have such sessions too', async () => {
    const client = new SessionClient({ connectionString: url() });
    await client.connect();
    expect((await client.query(look)).rows).toEqual([expected]);
    await client.query('begin transaction isolation level repeatable read read only');
    expect((await client.query(look)).rows).toEqual([{ ...expected, isolation: 'repeatable read' }]);
    await client.query('commit');
    await client.end();
    const trial = await rolledBackPool(url(), 'keystride test');
    expect((await trial.pool.query(look)).rows).toEqual([{ ...expected, isolation: expect.any(String) }]);
    await trial.end();
  });

  test('a statement that fails fails alone, and leaves no transaction open', async () => {
    const pool = createPool(url(), 'keystride test', 1);
    try {
      await expect(pool.query('SELECT 1/0')).rejects.toMatchObject({ code: '22012' });
      await pool.query('CREATE TABLE IF NOT EXISTS public.kept (id int)');
      await Promise.all([1, 2, 3].map((id) => pool.query('INSERT INTO public.kept VALUES ($1)', [id])));
      expect((await pool.query('SELECT count(*)::int AS kept FROM public.kept')).rows).toEqual([{ kept: 3 }]);
    } finally {
      await pool.query('DROP TABLE public.kept');
      await pool.end();
    }
  });
});

test('nothing that was set for us is left in the sessions of a pooler', async () => {
  const pool = createPool(pooler.urlOf(database.url), 'keystride test', 4);
  await Promise.all(Array.from({ length: 9 }, () => pool.query(look)));
  await pool.end();
  const other = new pg.Client({ connectionString: pooler.urlOf(database.url) });
  await other.connect();
  for (let session = 0; session < 3; session++)
    expect(
      (
        await other.query(
          `SELECT current_setting('bytea_output') AS bytes, current_setting('xmloption') AS xml`,
        )
      ).rows,
    ).toEqual([{ bytes: 'escape', xml: 'document' }]);
  await other.end();
});

test('a database whose bytes have no encoding is refused by name', async () => {
  const admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  const url = new URL(database.url);
  url.pathname += '_bytes';
  const name = admin.escapeIdentifier(url.pathname.slice(1));
  await admin.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'`);
  const pool = createPool(url.href, 'keystride test', 1);
  try {
    await expect(pool.query('SELECT 1')).rejects.toThrow(/127\.0\.0\.1:\d+\/\w+_bytes .* SQL_ASCII/u);
  } finally {
    await pool.end();
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.end();
  }
});
