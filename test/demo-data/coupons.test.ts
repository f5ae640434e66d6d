import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDemoCoupons } from '../../src/demo-data/coupons.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await testDatabase('target');
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

const fill = (count: number, options: { seed?: string; reset?: boolean } = {}) =>
  createDemoCoupons({ databaseUrl: database.url, count, ...options });

async function rows(): Promise<unknown[]> {
  const found = await client.query('SELECT id, member_id, coupon_id, status FROM member_coupon ORDER BY id');
  return found.rows;
}

test('the same seed makes the same coupons, another seed makes others', async () => {
  const made = await fill(1000, { seed: 'one' });
  const first = await rows();
  expect(await fill(1000, { seed: 'one', reset: true })).toEqual(made);
  expect(await rows()).toEqual(first);
  await fill(1000, { seed: 'two', reset: true });
  expect(await rows()).not.toEqual(first);
  expect(made).toMatchObject({ couponId: 1, memberCoupons: 1000 });
  expect(made.unused).toBeGreaterThan(850);
  expect(made.unused).toBeLessThan(950);
  expect(made.members).toBeLessThan(0.9 * made.unused);
});

test('a second call adds what is missing, also after an exchange', async () => {
  await fill(10, { reset: true });
  await client.query(
    `INSERT INTO coupon (name, description, amount_type, amount) VALUES ('Autumn sale', '', 'RATE', 10)`,
  );
  await client.query(
    `UPDATE member_coupon SET coupon_id = 2, exchanged_from = 1 WHERE id <= 5 AND status = 'UNUSED'`,
  );
  const exchanged = (await rows()).slice(0, 10);
  expect(await fill(10)).toMatchObject({ couponId: 1, memberCoupons: 10 });
  expect(await fill(25)).toMatchObject({ couponId: 1, memberCoupons: 25 });
  expect((await rows()).slice(0, 10)).toEqual(exchanged);
});

test('emptying leaves the messages of other jobs in the outbox', async () => {
  await client.query(
    `INSERT INTO outbox (topic, recipient, payload, idempotency_key)
     VALUES ('couponExchange:name=x', '1', '{}', gen_random_uuid()), ('another', '1', '{}', gen_random_uuid())`,
  );
  await fill(1, { reset: true });
  expect((await client.query('SELECT topic FROM outbox')).rows).toEqual([{ topic: 'another' }]);
});

test('refuses a count that is none', async () => {
  await expect(fill(0)).rejects.toThrow(/number of coupons must be a positive whole number/);
});
