import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MongoClient } from 'mongodb';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { startStack, type Stack } from '../../packages/keystride/src/dev/stack.ts';
import { databaseOn } from '../../packages/keystride/src/stores/postgres/database-url.ts';
import { waitFor } from '../support/stack.ts';

let root: string;
let stack: Stack<'postgres' | 'mongodb'>;

beforeAll(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'keystride-postgres-'));
  chmodSync(root, 0o711);
  stack = await start();
});

afterAll(async () => {
  await stack?.stop();
  rmSync(root, { recursive: true });
});

test('both databases are there, and what was written survives a kill and a restart on the same port', async () => {
  const { databaseUrl, sourceDatabaseUrl } = stack.info;
  await query(databaseUrl, 'CREATE TABLE survivor AS SELECT 42 AS answer');
  expect(await query(sourceDatabaseUrl, 'SELECT current_database()')).toEqual([
    { current_database: 'source' },
  ]);

  const before = stack.parts.postgres.pid;
  await stack.parts.postgres.kill('SIGKILL');
  expect(stack.parts.postgres.pid).toBeUndefined();
  await expect(query(databaseUrl, 'SELECT 1')).rejects.toThrow();

  await stack.parts.postgres.restart();
  expect(stack.parts.postgres.pid).not.toBe(before);
  expect(await query(databaseUrl, 'SELECT answer FROM survivor')).toEqual([{ answer: 42 }]);
});

test('a commit waits for the disk, but not on the server that tests share', async () => {
  expect(await query(stack.info.databaseUrl, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
  // One that is given is as it is.
  if (process.env['DATABASE_URL']) return;
  expect(await query(inject('keystride').databaseUrl, 'SHOW fsync')).toEqual([{ fsync: 'off' }]);
});

test('data of 0.1.0 is found by the names that it has', async () => {
  const server = databaseOn(stack.info.databaseUrl, 'postgres');
  const documents = await MongoClient.connect(databaseOn(stack.info.mongodbUrl, 'migration'));
  // What FerretDB had open to the server that was killed fails.
  await waitFor(() => documents.db().collection('survivor').insertOne({ answer: 42 }));
  await documents.close();
  await query(server, 'ALTER DATABASE target RENAME TO migration');
  await query(server, 'ALTER DATABASE source RENAME TO service');
  await stack.stop();
  stack = await start();
  const { databaseUrl, sourceDatabaseUrl, mongodbUrl } = stack.info;
  expect([databaseUrl, sourceDatabaseUrl, mongodbUrl].map((url) => new URL(url).pathname)).toEqual([
    '/migration',
    '/service',
    '/migration',
  ]);
});

test('a start after a stop finds the data; data of another major version is refused with what to do', async () => {
  await stack.stop();
  stack = await start();
  expect(await query(stack.info.databaseUrl, 'SELECT answer FROM survivor')).toEqual([{ answer: 42 }]);
  await stack.stop();

  const versionFile = path.join(root, 'home', 'postgres', 'data', 'PG_VERSION');
  writeFileSync(versionFile, '9\n');
  await expect(start()).rejects.toThrow(/data directory is of PostgreSQL 9.*Delete the directory/);
});

function start(): Promise<Stack<'postgres' | 'mongodb'>> {
  // Programs are those of the run: to build them once more takes minutes where nothing of Go is there yet.
  const { cache } = inject('keystride');
  return startStack({
    home: path.join(root, 'home'),
    cache,
    parts: ['postgres', 'mongodb'],
    environment: {},
  });
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as unknown[];
  } finally {
    await client.end();
  }
}
