import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool } from '../../src/stores/postgres/pool.ts';
import { type HealthLimits, readHealth } from '../../src/stores/postgres/health.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait-for.ts';

let database: TestDatabase;
let ours: pg.Pool;
let others: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('migration');
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
