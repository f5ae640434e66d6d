import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { type HealthLimits, readHealth } from '../../packages/keystride/src/stores/postgres/health.ts';
import { WalAge } from '../../packages/keystride/src/stores/postgres/wal-age.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { waitFor } from 'keystride/testing';

let database: TestDatabase;
let ours: pg.Pool;
let others: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('target');
  ours = createPool(database.url, 'keystride', 4);
  others = new pg.Pool({ connectionString: database.url, max: 4, application_name: 'the service' });
  await ours.query('CREATE TABLE busy (id int PRIMARY KEY)');
  await ours.query('INSERT INTO busy VALUES (1)');
});

afterAll(async () => {
  await ours?.end();
  await others?.end();
  await database?.drop();
});

const look = (limits: HealthLimits) => readHealth(ours, limits);

/** Holds a row while another session wants it. */
async function whileOneWaits(body: () => Promise<void>): Promise<void> {
  const [holding, waiting] = [await others.connect(), await others.connect()];
  try {
    await holding.query('BEGIN; SELECT FROM busy FOR UPDATE');
    const blocked = waiting.query('SELECT FROM busy FOR UPDATE');
    await body();
    await holding.query('ROLLBACK');
    await blocked;
  } finally {
    holding.release();
    waiting.release();
  }
}

test('sessions of others that wait for locks, or are at work, are counted; ours are not', async () => {
  expect(await look({ lockWaits: 0, activeConnections: 0, replicationLagSeconds: 0 })).toBeNull();
  await whileOneWaits(async () => {
    await waitFor(async () => (await look({ lockWaits: 0 })) !== null);
    expect(await look({ lockWaits: 0 })).toBe('1 sessions wait for locks, more than 0');
    expect(await look({ lockWaits: 1 })).toBeNull();
    expect(await look({ activeConnections: 0 })).toBe('1 active connections, more than 0');
  });
  const busy = ours.query('SELECT pg_sleep(1)');
  expect(await look({ activeConnections: 0 })).toBeNull();
  await busy;
});

test('a query of the operator says yes, no and why', async () => {
  expect(await look({ query: 'SELECT true; ' })).toBeNull();
  expect(await look({ query: "SELECT count(*) = 0, 'there is a row' FROM busy" })).toBe('there is a row');
  expect(await look({ query: 'SELECT false' })).toBe('the health query says no');
});

test('a query that answers something else, takes long or writes is an error, not an answer', async () => {
  await expect(look({ query: 'SELECT 1' })).rejects.toThrow(/boolean/u);
  await expect(look({ query: 'SELECT true WHERE false' })).rejects.toThrow(/boolean/u);
  await expect(look({ query: 'SELECT pg_sleep(3) IS NULL' })).rejects.toMatchObject({ code: '57014' });
  await ours.query('CREATE SEQUENCE written');
  await expect(look({ query: "SELECT nextval('written') > 0" })).rejects.toMatchObject({ code: '25006' });
});

test('what comes after a position is as old as the look that saw it first, and never older', () => {
  const age = new WalAge();
  expect(age.secondsAfter(0n, 5_000)).toBe(0);
  age.note(100n, 10_000);
  age.note(100n, 20_000);
  age.note(200n, 30_000);
  const ages = [99n, 100n, 199n, 200n].map((position) => age.secondsAfter(position, 40_000));
  expect(ages).toEqual([30, 10, 10, 0]);
  // Another server, with a log of its own.
  age.note(50n, 50_000);
  expect([49n, 50n].map((position) => age.secondsAfter(position, 60_000))).toEqual([10, 0]);
});

test('ages over weeks of looks become coarser, but not those of the last hundreds', () => {
  const age = new WalAge();
  const looks = 100_003;
  for (let at = 1; at <= looks; at++) age.note(BigInt(at), at * 1_000);
  for (let real = 0; real < looks; real += 97) {
    const found = age.secondsAfter(BigInt(looks - real - 1), looks * 1_000);
    expect(found).toBeLessThanOrEqual(real);
    expect(found).toBeGreaterThanOrEqual(Math.min(real, 500) - 2);
  }
});
