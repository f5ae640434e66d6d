import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { boundedQuery } from '../../packages/keystride/src/stores/postgres/bounded-query.ts';
import { classifyPostgres } from '../../packages/keystride/src/stores/postgres/errors.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { waitFor } from 'keystride/testing';

let database: TestDatabase;
let pool: pg.Pool;
let others: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('source');
  pool = createPool(database.url, 'keystride test', 2);
  others = createPool(database.url, 'keystride test others', 2);
});

afterAll(async () => {
  await pool?.end();
  await others?.end();
  await database?.drop();
});

/** Statements of this test that the server is at work on. */
async function running(): Promise<number> {
  const { rows } = await others.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()`,
  );
  return rows[0]?.count ?? -1;
}

const slow = 'SELECT pg_sleep(600)';

test('a read that nobody waits for any more has ended on the server, and its connection is as good as before', async () => {
  const giveUp = new AbortController();
  const reads = [1, 2].map(() => boundedQuery(pool, slow, [], { signal: giveUp.signal }));
  const settled = Promise.allSettled(reads);
  await waitFor(async () => (await running()) === 2);
  giveUp.abort(new Error('given up'));
  for (const read of await settled) {
    expect(read).toMatchObject({ status: 'rejected', reason: { message: 'given up' } });
  }
  expect(await running()).toBe(0);
  expect(pool.totalCount).toBe(2);
  const { rows } = await boundedQuery(pool, 'SELECT 1 AS one');
  expect(rows).toEqual([{ one: 1 }]);
});

test('what has been given up before it began is not asked', async () => {
  await expect(
    boundedQuery(pool, slow, [], { signal: AbortSignal.abort(new Error('over')) }),
  ).rejects.toThrow('over');
  expect(await running()).toBe(0);
});

test('the server ends a read whose time is over, and that may pass by itself', async () => {
  const error: unknown = await boundedQuery(pool, slow, [], { timeoutMs: 300 }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: '57014' });
  expect(classifyPostgres(error)).toMatchObject({ decision: 'retry' });
  expect(await running()).toBe(0);
  // The next one has its own time.
  await boundedQuery(pool, 'SELECT pg_sleep(0.5)');
});

test('a statement outside of it is bounded as ever: nothing of a read stays with the session', async () => {
  const one = createPool(database.url, 'keystride test one', 1);
  const settings = `SELECT current_setting('statement_timeout') AS timeout, current_setting('client_connection_check_interval', true) AS looks`;
  const before = await one.query(settings);
  await boundedQuery(one, 'SELECT 1');
  expect((await one.query(settings)).rows).toEqual(before.rows);
  await one.end();
});

test('the server notices that whoever asked has died', async () => {
  const gone = createPool(database.url, 'keystride test gone', 1);
  const read = boundedQuery(gone, slow).catch(() => undefined);
  await waitFor(async () => (await running()) === 1);
  // As a process that is killed: its sockets close, and nobody tells the server anything.
  const [client] = (gone as unknown as { _clients: { connection: { stream: { destroy(): void } } }[] })
    ._clients;
  client?.connection.stream.destroy();
  await waitFor(async () => (await running()) === 0);
  await read;
  await delay(0);
  await gone.end();
});
