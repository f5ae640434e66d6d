import { expect, onTestFinished, test } from 'vitest';
import { workerGate } from '../../packages/keystride/src/host/worker-gate.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase } from '../support/database.ts';

test('a resource in the database of the ledger is looked at with it, one elsewhere by itself', async () => {
  const { url, drop } = await testDatabase();
  const database = createPool(url, 'keystride test', 2);
  onTestFinished(async () => {
    await database.end();
    await drop();
  });
  const looked: string[] = [];
  const resource = (title: string) => ({
    title,
    open: () => title,
    health: () => () => {
      looked.push(title);
      return Promise.resolve(null);
    },
  });
  const gate = workerGate(
    { health: { lockWaits: 100 }, quietHours: [], databaseUrl: url },
    { resources: { same: resource('same'), other: resource('other') }, jobs: () => [] },
    { same: { SOURCE_DATABASE_URL: url }, other: { SOURCE_DATABASE_URL: `${url}_elsewhere` } },
    { database, own: {} },
  );
  expect(await gate.ask()).toEqual({ throttled: null, unreadable: null });
  expect(looked).toEqual(['other']);
});
