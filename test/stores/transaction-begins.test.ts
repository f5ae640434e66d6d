import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DatabaseProxy } from '../../packages/keystride/src/prove/database-proxy.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { inTransaction } from '../../packages/keystride/src/stores/postgres/transaction.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let proxy: DatabaseProxy;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('target');
  proxy = await DatabaseProxy.start(database.url, []);
  pool = createPool(proxy.urlOf(database.url), 'keystride test', 1);
  await pool.query('CREATE TABLE noted (item text NOT NULL)');
});

afterAll(async () => {
  await pool?.end();
  await proxy?.stop();
  await database?.drop();
});

const noted = async () => (await pool.query<{ item: string }>('SELECT item FROM noted')).rows;

test.for([
  ['a statement without values', `INSERT INTO noted VALUES ('it''s')`, undefined, 2],
  ['one with values', 'INSERT INTO noted VALUES ($1)', [`it's`], 3],
  // A session may have been set to read the backslash otherwise, until the transaction sets it.
  ['one with a backslash', `INSERT INTO noted VALUES (E'it\\'s')`, undefined, 3],
] as const)('%s, and its transaction: so many messages', async ([, text, values, messages]) => {
  const before = proxy.messages;
  await inTransaction(pool, async (transaction) => {
    expect(await transaction.query(text, values && [...values])).toMatchObject({
      command: 'INSERT',
      rowCount: 1,
    });
  });
  expect(proxy.messages - before).toBe(messages);
  expect(await noted()).toEqual([{ item: `it's` }]);
  await pool.query('TRUNCATE noted');
});

test('nothing is written without the transaction, when the message that begins it has failed', async () => {
  const writing = inTransaction(pool, async (transaction) => {
    await transaction.query('SELECT 1 / 0').catch(() => undefined);
    await transaction.query(`INSERT INTO noted VALUES ('later')`);
  });
  await expect(writing).rejects.toMatchObject({ code: '22012' });
  expect(await noted()).toEqual([]);
});

test('nor where its error has gone unnoticed', async () => {
  const writing = inTransaction(pool, async (transaction) => {
    await transaction.query('SELECT 1 / 0').catch(() => undefined);
  });
  await expect(writing).rejects.toMatchObject({ code: '22012' });
});

test('statements that are sent side by side are of the transaction', async () => {
  const writing = inTransaction(pool, async (transaction) => {
    await Promise.all(
      ['one', 'two'].map((item) => transaction.query(`INSERT INTO noted VALUES ('${item}')`)),
    );
    throw new Error('too late');
  });
  await expect(writing).rejects.toThrow('too late');
  expect(await noted()).toEqual([]);
});

test('one without a statement commits nothing, and fails by nothing', async () => {
  expect(await inTransaction(pool, () => Promise.resolve('done'))).toBe('done');
});
