import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { Provider } from '../support/message-provider.ts';
import { failureOf, reportOf, run, stepOf } from '../support/runs.ts';
import { createWorld, waitFor, type TestWorker, type World } from '../support/stack.ts';

let world: World;
let worker: TestWorker;
let pool: pg.Pool;
let provider: Provider;

beforeAll(async () => {
  world = await createWorld();
  pool = createPool(world.databaseUrl, 'keystride test', 4);
  provider = new Provider(world.messageProviderUrl);
  await pool.query(auditExchanges);
  worker = await world.startWorker();
});

afterAll(async () => {
  await pool?.end();
  await world?.dispose();
});

beforeEach(async () => {
  await pool.query(
    `TRUNCATE coupon, member_coupon, outbox, exchange_audit, keystride.instance RESTART IDENTITY CASCADE`,
  );
  await provider.begin();
});

/** One row for each exchange that has committed: what is done twice is there twice. */
const auditExchanges = `
  CREATE TABLE exchange_audit (member_coupon_id bigint NOT NULL);
  CREATE FUNCTION audit_exchange() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO exchange_audit VALUES (NEW.id); RETURN NULL; END $$;
  CREATE TRIGGER audit_exchange AFTER UPDATE OF coupon_id ON member_coupon
    FOR EACH ROW EXECUTE FUNCTION audit_exchange();`;

const parameters = {
  name: 'Autumn sale',
  description: 'For orders until the end of November.',
  amountType: 'RATE',
  amount: 10,
  expiredCouponId: 1,
};

/** Members from 1 on with the same number of coupons each, in rounds: no two of a member's lie side by side. */
async function giveCoupons(members: number, each = 1): Promise<void> {
  await pool.query(
    `INSERT INTO coupon (name, description, amount_type, amount, created_by_instance)
     VALUES ('Spring sale', '', 'FIX', 3000, NULL)`,
  );
  await pool.query(
    `INSERT INTO member_coupon (member_id, coupon_id)
     SELECT member, 1 FROM generate_series(1, $2::int) AS round, generate_series(1, $1::int) AS member
      ORDER BY round, member`,
    [members, each],
  );
}

/** How often each coupon was exchanged, by id, and what the members hold now. */
async function exchanges(): Promise<{ exchanged: number[]; held: Record<string, number> }> {
  const audit = await pool.query<{ id: string }>(
    'SELECT member_coupon_id AS id FROM exchange_audit ORDER BY member_coupon_id',
  );
  const held = await pool.query<{ kind: string; coupons: string }>(
    `SELECT coupon_id || coalesce(' from ' || exchanged_from, '') AS kind, count(*) AS coupons
       FROM member_coupon GROUP BY 1`,
  );
  return {
    exchanged: audit.rows.map(({ id }) => Number(id)),
    held: Object.fromEntries(held.rows.map(({ kind, coupons }) => [kind, Number(coupons)])),
  };
}

/** Every member told, by one message that was delivered once. */
async function expectEveryoneTold(members: readonly number[]): Promise<void> {
  const messages = await provider.messages();
  const told = messages.map(({ memberId, delivered }) => ({ memberId: Number(memberId), delivered }));
  expect(told.toSorted((left, right) => left.memberId - right.memberId)).toEqual(
    members.map((memberId) => ({ memberId, delivered: 1 })),
  );
  const { rows } = await pool.query<{ recipient: string; idempotency_key: string }>(
    'SELECT recipient, idempotency_key FROM outbox WHERE sent_at IS NOT NULL',
  );
  expect(Object.fromEntries(rows.map((row) => [row.recipient, row.idempotency_key]))).toEqual(
    Object.fromEntries(messages.map(({ memberId, key }) => [memberId, key])),
  );
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

/** Waits until somebody waits for a lock of this database that the test holds. */
async function untilSomebodyWaits(): Promise<void> {
  await waitFor(
    async () => {
      const { rowCount } = await pool.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return (rowCount ?? 0) > 0;
    },
    { what: 'a worker that waits for the lock' },
  );
}

test('every unused coupon is exchanged once, and a member with several coupons gets one message', async () => {
  await giveCoupons(15, 3);
  await pool.query(`UPDATE member_coupon SET status = 'USED' WHERE member_id = 4 OR id = 20`);
  const report = await run(world, 'couponExchange', parameters);
  expect(report.status).toBe('completed');
  expect(report.instance).toMatch(/^couponExchange:name=Autumn%20sale,.*,expiredCouponId=1$/);
  expect(stepOf(report, 'createCoupon').result).toEqual({ couponId: '2' });
  expect(stepOf(report, 'exchangeCoupons')).toMatchObject({
    expected: 41,
    read: 41,
    written: 41,
    skipped: 0,
  });
  expect(stepOf(report, 'notifyMembers')).toMatchObject({ expected: 14, read: 14, written: 14, skipped: 0 });
  const { rows } = await pool.query('SELECT name, amount_type, amount FROM coupon WHERE id = 2');
  expect(rows).toEqual([{ name: 'Autumn sale', amount_type: 'RATE', amount: '10' }]);
  const { exchanged, held } = await exchanges();
  expect(new Set(exchanged).size).toBe(exchanged.length);
  expect(held).toEqual({ '1': 4, '2 from 1': 41 });
  await expectEveryoneTold(upTo(15).filter((member) => member !== 4));
  expect(await provider.statistics()).toMatchObject({ received: 14, repeatedKeys: 0, answers: { 202: 14 } });
});

test.for([
  ['none at all', {}, /name: .*; description: .*; amountType: .*; amount: .*; expiredCouponId: /],
  ['a RATE above 100', { ...parameters, amount: 101 }, /amount: Too big: a RATE is 1 to 100/],
  ['a RATE of nothing', { ...parameters, amount: 0 }, /amount: Too small/],
  ['a FIX below nothing', { ...parameters, amountType: 'FIX', amount: -1 }, /amount: Too small/],
  ['a part of a won', { ...parameters, amountType: 'FIX', amount: 10.5 }, /amount: .*expected int/],
  ['another type', { ...parameters, amountType: 'PERCENT' }, /amountType: .*expected one of "FIX"\|"RATE"/],
  ['no name and no coupon', { ...parameters, name: ' ', expiredCouponId: 0 }, /name: .*; expiredCouponId: /],
  ['no name, and a RATE above 100', { ...parameters, name: '', amount: 101 }, /name: .*; amount: Too big/],
  ['one too many', { ...parameters, until: '2025-12-31' }, /Unrecognized key: "until"/],
] as const)('bad parameters are refused by name before anything is written: %s', async ([, bad, told]) => {
  await giveCoupons(3);
  const { type, message } = await failureOf(await world.start('couponExchange', bad));
  expect(type).toBe('JobParametersInvalid');
  expect(message).toMatch(told);
  const { rows } = await pool.query(
    `SELECT (SELECT count(*) FROM coupon) AS coupons, (SELECT count(*) FROM outbox) AS messages,
            (SELECT count(*) FROM keystride.instance) AS instances`,
  );
  expect(rows).toEqual([{ coupons: '1', messages: '0', instances: '0' }]);
});

test('a FIX may be more than 100, and a coupon that does not exist is refused before one is created', async () => {
  await giveCoupons(3);
  const fixed = { ...parameters, amountType: 'FIX', amount: 5000, expiredCouponId: 17 };
  const { type, message } = await failureOf(await world.start('couponExchange', fixed));
  expect(type).toBe('JobParametersInvalid');
  expect(message).toContain('couponExchange cannot exchange coupon 17: there is none with this id');
  expect((await pool.query('SELECT id FROM coupon')).rows).toEqual([{ id: '1' }]);
});

test('a second start is refused while the job runs, and when it has completed', async () => {
  await giveCoupons(5);
  // Busy for as long as the test wants it: whoever is asked to wait uses up no retry.
  await provider.configure({ tooMany: 1, retryAfter: 1 });
  const first = await world.start('couponExchange', parameters);
  await waitFor(async () => (await provider.statistics()).received > 0, { what: 'the first message' });
  expect(await failureOf(await world.start('couponExchange', parameters))).toMatchObject({
    type: 'JobExecutionAlreadyRunning',
  });
  await provider.configure({ tooMany: 0 });
  expect((await reportOf(first)).status).toBe('completed');
  expect(await failureOf(await world.start('couponExchange', parameters))).toMatchObject({
    type: 'JobInstanceAlreadyComplete',
  });
  expect((await pool.query('SELECT FROM coupon')).rowCount).toBe(2);
  expect(await provider.statistics()).toMatchObject({ keys: 5, delivered: 5, membersToldTwice: 0 });
});

test('the 20th write fails: ten have committed, and the restart finishes without doing anything twice', async () => {
  await giveCoupons(15, 3);
  await pool.query(`
    CREATE FUNCTION refuse_write() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'the 20th write fails'; END $$;
    CREATE TRIGGER refuse_write BEFORE UPDATE ON member_coupon
      FOR EACH ROW WHEN (OLD.id = 20) EXECUTE FUNCTION refuse_write();`);
  const { type, message } = await failureOf(await world.start('couponExchange', parameters));
  expect(type).toBe('StepFailed');
  expect(message).toMatch(
    /step exchangeCoupons .*write of key 11 and 9 more .*SQLSTATE P0001\).*function refuse_write line 2/,
  );
  expect(await exchanges()).toEqual({ exchanged: upTo(10), held: { '1': 35, '2 from 1': 10 } });
  const counters = await pool.query(
    `SELECT read, written FROM keystride.checkpoint WHERE step = 'exchangeCoupons'`,
  );
  expect(counters.rows).toEqual([{ read: '10', written: '10' }]);
  // Written with the ten, and not sent before all are exchanged.
  expect((await pool.query('SELECT FROM outbox')).rowCount).toBe(10);
  expect(await provider.statistics()).toMatchObject({ received: 0 });

  await pool.query('DROP FUNCTION refuse_write() CASCADE');
  const report = await run(world, 'couponExchange', parameters);
  expect(report.status).toBe('completed');
  expect(stepOf(report, 'createCoupon').result).toEqual({ couponId: '2' });
  expect(stepOf(report, 'exchangeCoupons')).toMatchObject({ read: 45, written: 45, skipped: 0, filtered: 0 });
  expect(stepOf(report, 'notifyMembers')).toMatchObject({ read: 15, written: 15 });
  expect(await exchanges()).toEqual({ exchanged: upTo(45), held: { '2 from 1': 45 } });
  await expectEveryoneTold(upTo(15));
});

test('killed between sending and marking: the provider sees the same keys again and delivers nothing twice', async () => {
  await giveCoupons(12, 2);
  await pool.query(`
    CREATE FUNCTION wait_before_marking() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_advisory_xact_lock(5); RETURN NEW; END $$;
    CREATE TRIGGER wait_before_marking BEFORE UPDATE ON outbox
      FOR EACH ROW EXECUTE FUNCTION wait_before_marking();`);
  const gate = await pool.connect();
  await gate.query('SELECT pg_advisory_lock(5)');
  const handle = await world.start('couponExchange', parameters);
  await waitFor(async () => (await provider.statistics()).delivered === 12, { what: 'all messages' });
  await untilSomebodyWaits();
  await worker.kill('SIGKILL');
  await gate.query('SELECT pg_advisory_unlock(5)');
  gate.release();
  const unsent = await pool.query('SELECT FROM outbox WHERE sent_at IS NULL');
  expect(unsent.rowCount, 'nothing is marked').toBe(12);
  await pool.query('DROP FUNCTION wait_before_marking() CASCADE');

  await worker.restart();
  const report = await reportOf(handle);
  expect(stepOf(report, 'notifyMembers')).toMatchObject({ read: 12, written: 12, skipped: 0 });
  await expectEveryoneTold(upTo(12));
  expect(await provider.statistics()).toMatchObject({
    keys: 12,
    repeatedKeys: 12,
    delivered: 12,
    membersToldTwice: 0,
  });
});

test('a provider that is busy, down for a moment, or does not get its answer across is asked again', async () => {
  await giveCoupons(40);
  await provider.configure({ tooMany: 0.2, unavailable: 0.1, drop: 0.2, retryAfter: 0 });
  const report = await run(world, 'couponExchange', parameters);
  expect(report.status).toBe('completed');
  await expectEveryoneTold(upTo(40));
  const { answers, repeatedKeys } = await provider.statistics();
  expect(repeatedKeys).toBeGreaterThan(0);
  expect(answers['429']).toBeGreaterThan(0);
  expect(answers['503']).toBeGreaterThan(0);
  expect(answers['dropped']).toBeGreaterThan(0);
});

test('members whom the provider refuses are set aside by code, and told by a redrive', async () => {
  await giveCoupons(10);
  await provider.configure({ refusals: { 3: 'UNKNOWN_PHONE', 7: 'UNSUBSCRIBED' } });
  const report = await run(world, 'couponExchange', parameters);
  expect(report.status).toBe('completedWithSkips');
  expect(stepOf(report, 'notifyMembers')).toMatchObject({ read: 10, written: 8, skipped: 2 });
  const { rows } = await pool.query(
    'SELECT step, item_key, phase, code, attempts FROM keystride.skip ORDER BY item_key::bigint',
  );
  const skip = { step: 'notifyMembers', phase: 'process', attempts: 1 };
  expect(rows).toEqual([
    { ...skip, item_key: '3', code: 'UNKNOWN_PHONE' },
    { ...skip, item_key: '7', code: 'UNSUBSCRIBED' },
  ]);

  await provider.configure({ refusals: {} });
  expect((await run(world, 'redrive', { instance: report.instance })).status).toBe('completed');
  await expectEveryoneTold(upTo(10));
});

test('a refusal that is not about a member fails the step, and the next start goes on', async () => {
  await giveCoupons(10);
  await provider.configure({ refusals: { 5: 'CONTRACT_ENDED' } });
  const { type, message } = await failureOf(await world.start('couponExchange', parameters));
  expect(type).toBe('StepFailed');
  expect(message).toMatch(/step notifyMembers .*key 5 .*the API answered 400 CONTRACT_ENDED/);
  await provider.configure({ refusals: {} });
  expect(await run(world, 'couponExchange', parameters)).toMatchObject({ status: 'completed' });
  await expectEveryoneTold(upTo(10));
});

test('a coupon that its member uses at that very moment is set aside, and its member hears nothing', async () => {
  await giveCoupons(25);
  const member = await pool.connect();
  await member.query('BEGIN');
  await member.query(`UPDATE member_coupon SET status = 'USED' WHERE id = 15`);
  const handle = await world.start('couponExchange', parameters);
  await untilSomebodyWaits();
  await member.query('COMMIT');
  member.release();
  const report = await reportOf(handle);
  expect(stepOf(report, 'exchangeCoupons')).toMatchObject({ read: 25, written: 24, skipped: 1 });
  const { rows } = await pool.query('SELECT item_key, phase, code FROM keystride.skip');
  expect(rows).toEqual([{ item_key: '15', phase: 'write', code: 'USED_MEANWHILE' }]);
  expect((await exchanges()).held).toEqual({ '1': 1, '2 from 1': 24 });
  await expectEveryoneTold(upTo(25).filter((id) => id !== 15));
});
