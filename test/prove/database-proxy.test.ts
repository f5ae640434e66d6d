import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  DatabaseProxy,
  type ConnectionFault,
  type ConnectionFaultKind,
} from '../../packages/keystride/src/prove/database-proxy.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let proxy: DatabaseProxy;
let direct: pg.Client;
const happened: ConnectionFaultKind[] = [];

beforeEach(async () => {
  database = await testDatabase('source');
  direct = new pg.Client({ connectionString: database.url });
  await direct.connect();
  await direct.query('CREATE TABLE noted (n int)');
  happened.length = 0;
});

afterEach(async () => {
  await proxy.stop();
  await direct.end();
  await database.drop();
});

async function throughProxy(...faults: ConnectionFault[]): Promise<pg.Client> {
  proxy = await DatabaseProxy.start(database.url, faults);
  proxy.onFault = (kind) => happened.push(kind);
  const client = new pg.Client({ connectionString: proxy.urlOf(database.url) });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function insertAndCommit(client: pg.Client): Promise<void> {
  await client.query('BEGIN');
  await client.query('INSERT INTO noted VALUES ($1)', [1]);
  await client.query('COMMIT');
}

async function rows(): Promise<number> {
  return Number((await direct.query<{ count: string }>('SELECT count(*) FROM noted')).rows[0]?.count);
}

test('lets everything pass that it was not told to lose, and counts COMMITs', async () => {
  const client = await throughProxy({ kind: 'commitLost', at: 3 });
  await insertAndCommit(client);
  await insertAndCommit(client);
  expect(await rows()).toBe(2);
  expect(proxy.commits).toBe(2);
  expect(happened).toEqual([]);
  await client.end();
});

test('a COMMIT that is lost does not commit', async () => {
  const client = await throughProxy({ kind: 'commitLost', at: 2 });
  await insertAndCommit(client);
  await expect(insertAndCommit(client)).rejects.toThrow();
  expect(await rows()).toBe(1);
  expect(happened).toEqual(['commitLost']);
});

test('a COMMIT whose answer is lost has committed', async () => {
  const client = await throughProxy({ kind: 'commitReplyLost', at: 1 });
  await expect(insertAndCommit(client)).rejects.toThrow();
  expect(await rows()).toBe(1);
  expect(happened).toEqual(['commitReplyLost']);
});

test('a connection whose answer is late looks alive for a while', async () => {
  const client = await throughProxy({ kind: 'commitReplyLate', at: 1 });
  const begun = performance.now();
  await expect(insertAndCommit(client)).rejects.toThrow();
  expect(performance.now() - begun).toBeGreaterThan(2_000);
  expect(await rows()).toBe(1);
});

test('all connections are cut at once', async () => {
  const first = await throughProxy({ kind: 'connectionsCut', at: 1 });
  const second = new pg.Client({ connectionString: proxy.urlOf(database.url) });
  second.on('error', () => undefined);
  await second.connect();
  await expect(insertAndCommit(first)).rejects.toThrow();
  await expect(second.query('SELECT 1')).rejects.toThrow();
});

test('the answer to any statement may be lost', async () => {
  const client = await throughProxy();
  const before = proxy.messages;
  await client.query('SELECT 1');
  const perStatement = proxy.messages - before;
  await client.end();
  await proxy.stop();
  const again = await throughProxy({ kind: 'replyLost', at: before + 2 * perStatement });
  await again.query('SELECT 1');
  await expect(again.query('SELECT 2')).rejects.toThrow();
  expect(happened).toEqual(['replyLost']);
});
