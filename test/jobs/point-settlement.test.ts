import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createDemoPoints } from '../../src/demo-data/points.ts';
import { emptyTarget, ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { control, failureOf, reportOf, run, stepOf, until } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

const date = '2025-10-01';

beforeAll(async () => {
  world = await createWorld();
  stores = openStores(world);
  // A day begins in UTC, wherever the database lives: the worker connects after this.
  const { pathname } = new URL(world.databaseUrl);
  await stores.migration.query(
    `ALTER DATABASE ${pg.escapeIdentifier(pathname.slice(1))} SET timezone = 'America/New_York'`,
  );
  await world.startWorker();
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

beforeEach(async () => {
  await emptyTarget(world, stores);
  await stores.migration.query(`
    TRUNCATE point_event, point_cut_off, point_settlement, point_daily_total RESTART IDENTITY;
    DROP TRIGGER IF EXISTS meanwhile ON point_settlement`);
});

type Type = 'ACCRUE' | 'USE' | 'EXPIRE';

async function addEvents(
  events: readonly (readonly [member: number, type: Type, amount: number, at: string])[],
  client: Pick<pg.ClientBase, 'query'> = stores.migration,
): Promise<void> {
  for (const event of events) {
    await client.query(
      'INSERT INTO point_event (member_id, type, amount, occurred_at) VALUES ($1, $2, $3, $4)',
      [...event],
    );
  }
}

const someEvents = [
  [1, 'ACCRUE', 100, `${date}T00:00:00Z`],
  [1, 'ACCRUE', 50, `${date}T23:59:59.999999Z`],
  [1, 'USE', 30, `${date}T12:00:00Z`],
  [2, 'EXPIRE', 7, `${date}T12:00:00Z`],
  [1, 'ACCRUE', 1000, '2025-09-30T23:59:59.999999Z'],
  [1, 'ACCRUE', 2000, '2025-10-02T00:00:00Z'],
] as const;

async function settlements(of = date): Promise<string[]> {
  const { rows } = await stores.migration.query<{ row: string }>(
    `SELECT concat_ws(' ', member_id, accrued, used, expired) AS row FROM point_settlement
      WHERE settlement_date = $1 ORDER BY member_id`,
    [of],
  );
  return rows.map(({ row }) => row);
}

/** What is to be there, by a query of the test's own. */
async function settled(of = date): Promise<string[]> {
  const { rows } = await stores.migration.query<{ row: string }>(
    `SELECT concat_ws(' ', member_id,
              coalesce(sum(amount) FILTER (WHERE type = 'ACCRUE'), 0),
              coalesce(sum(amount) FILTER (WHERE type = 'USE'), 0),
              coalesce(sum(amount) FILTER (WHERE type = 'EXPIRE'), 0)) AS row
       FROM point_event
      WHERE occurred_at >= $1::timestamptz AND occurred_at < $1::timestamptz + interval '24 hours'
      GROUP BY member_id ORDER BY member_id`,
    [`${of}T00:00:00Z`],
  );
  return rows.map(({ row }) => row);
}

async function totals(): Promise<string[]> {
  const { rows } = await stores.migration.query<{ row: string }>(
    `SELECT concat_ws(' ', settlement_date, accrued, used, expired, members) AS row
       FROM point_daily_total ORDER BY settlement_date`,
  );
  return rows.map(({ row }) => row);
}

/** Something that happens to each row as it is written, or beside it. */
async function meanwhile(statement: string): Promise<void> {
  await stores.migration.query(`
    CREATE OR REPLACE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN ${statement}; RETURN NEW; END $$;
    CREATE TRIGGER meanwhile BEFORE INSERT OR UPDATE ON point_settlement
      FOR EACH ROW EXECUTE FUNCTION meanwhile()`);
}

test('a day is settled by member and in total, from midnight to midnight in UTC', async () => {
  await addEvents(someEvents);
  const report = await run(world, 'pointSettlement', { date });
  expect(report).toMatchObject({
    status: 'completed',
    instance: `pointSettlement:date=${date},rerun=0`,
  });
  expect(stepOf(report, 'accrual')).toMatchObject({ read: 2, written: 2, filtered: 0 });
  expect(stepOf(report, 'cutOff').result).toEqual({ lastEventId: '6', lateEvents: [] });
  expect(stepOf(report, 'total').result).toEqual({
    accrued: 150,
    used: 30,
    expired: 7,
    members: 2,
    lateEvents: 0,
  });
  expect(await settlements()).toEqual(['1 150 30 0', '2 0 0 7']);
  expect(await totals()).toEqual(['2025-10-01 150 30 7 2']);
});

test('of 100,000 events the three steps, side by side, add up each once', async () => {
  await createDemoPoints({ databaseUrl: world.databaseUrl, count: 100_000, members: 700 });
  const report = await run(world, 'pointSettlement', { date });
  const expected = await settled();
  expect(expected).toHaveLength(700);
  expect(await settlements()).toEqual(expected);
  const { rows } = await stores.migration.query<{ type: string; events: number }>(
    `SELECT type, count(*)::int AS events FROM point_event WHERE occurred_at < '2025-10-02Z' GROUP BY 1`,
  );
  const eventsOf = Object.fromEntries(rows.map(({ type, events }) => [type, events]));
  for (const [step, type] of [
    ['accrual', 'ACCRUE'],
    ['usage', 'USE'],
    ['expiry', 'EXPIRE'],
  ] as const) {
    const events = eventsOf[type];
    expect(stepOf(report, step)).toMatchObject({ read: events, written: events, filtered: 0, skipped: 0 });
  }
});

test('a day without events has a total of nothing', async () => {
  const report = await run(world, 'pointSettlement', { date });
  expect(stepOf(report, 'total').result).toMatchObject({ accrued: 0, used: 0, expired: 0, members: 0 });
  expect(await totals()).toEqual(['2025-10-01 0 0 0 0']);
});

test('totals that disagree are refused with the figures; put right, a restart finishes', async () => {
  await addEvents(someEvents);
  await meanwhile('NEW.accrued := NEW.accrued + 5');
  const { type, message } = await failureOf(await world.start('pointSettlement', { date }));
  expect(type).toBe('BooksDoNotBalance');
  expect(message).toMatch(
    /step total failed.*settlements of 2025-10-01 differ.*accrued \d+, by its events 150/,
  );
  expect(message).not.toContain('used');
  expect(message).toContain('rerun 1');
  expect(await totals()).toEqual([]);
  await stores.migration.query(`
    DROP TRIGGER meanwhile ON point_settlement;
    UPDATE point_settlement SET accrued = CASE member_id WHEN 1 THEN 150 ELSE 0 END`);
  expect(await run(world, 'pointSettlement', { date })).toMatchObject({ status: 'completed' });
  expect(await settlements()).toEqual(['1 150 30 0', '2 0 0 7']);
  expect(await totals()).toEqual(['2025-10-01 150 30 7 2']);
});

test('late events are reported once and settled by a rerun alone, which replaces the day', async () => {
  await addEvents(someEvents);
  await run(world, 'pointSettlement', { date });
  await addEvents([
    [1, 'USE', 20, `${date}T13:00:00Z`],
    [3, 'ACCRUE', 5, `${date}T14:00:00Z`],
  ]);
  const late = { date, events: 2, accrued: 5, used: 20, expired: 0 };
  const lateEventsOf = async (parameters: object) =>
    stepOf(await run(world, 'pointSettlement', parameters), 'cutOff').result;
  expect(await lateEventsOf({ date: '2025-10-02' })).toEqual({
    lastEventId: '8',
    lateEvents: [{ ...late, settledNow: false }],
  });
  expect(await lateEventsOf({ date: '2025-10-03' })).toMatchObject({ lateEvents: [] });
  expect(await settlements()).toEqual(['1 150 30 0', '2 0 0 7']);

  // Somebody has meddled with the settlement: a rerun leaves nothing of it.
  await stores.migration.query(
    `INSERT INTO point_settlement (settlement_date, member_id, used) VALUES ('${date}', 99, 1)`,
  );
  expect(await lateEventsOf({ date, rerun: 1 })).toMatchObject({
    lateEvents: [{ ...late, settledNow: true }],
  });
  expect(await settlements()).toEqual(['1 150 50 0', '2 0 0 7', '3 5 0 0']);
  expect(await totals()).toEqual(['2025-10-01 155 50 7 3', '2025-10-02 2000 0 0 1', '2025-10-03 0 0 0 0']);
});

test('a settlement that was done, or is older than what is there, is refused', async () => {
  await addEvents(someEvents);
  await run(world, 'pointSettlement', { date, rerun: 2 });
  const again = await failureOf(await world.start('pointSettlement', { date, rerun: 2 }));
  expect(again.type).toBe('JobInstanceAlreadyComplete');
  const older = await failureOf(await world.start('pointSettlement', { date }));
  expect(older).toMatchObject({
    type: 'JobParametersInvalid',
    message: expect.stringMatching(/2025-10-01 was settled.*Nothing was written/),
  });
  expect(await totals()).toEqual(['2025-10-01 150 30 7 2']);
});

test('an event whose transaction is open at the cut-off is waited for', async () => {
  await addEvents(someEvents);
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  await client.query('BEGIN');
  await addEvents([[4, 'ACCRUE', 9, `${date}T10:00:00Z`]], client);
  await addEvents([[5, 'ACCRUE', 9, `${date}T10:00:00Z`]]);
  const handle = await world.start('pointSettlement', { date });
  await waitFor(async () => {
    const { rows } = await stores.migration.query(
      `SELECT FROM pg_locks WHERE relation = 'point_cut_off'::regclass AND mode = 'ShareRowExclusiveLock' AND granted`,
    );
    return rows.length > 0;
  });
  await client.query('COMMIT');
  await client.end();
  expect(stepOf(await reportOf(handle), 'cutOff').result).toMatchObject({ lastEventId: '8' });
  expect(await settlements()).toEqual(['1 150 30 0', '2 0 0 7', '4 9 0 0', '5 9 0 0']);
});

test('an event that comes while the day is being settled is in no figure, and is told', async () => {
  await addEvents(someEvents);
  await meanwhile(`
    INSERT INTO point_event (member_id, type, amount, occurred_at)
    SELECT 1, 'USE', 1, '${date}T15:00:00Z' WHERE NEW.member_id = 2`);
  const report = await run(world, 'pointSettlement', { date });
  expect(stepOf(report, 'total').result).toMatchObject({ used: 30, lateEvents: 1 });
  expect(await settlements()).toEqual(['1 150 30 0', '2 0 0 7']);
});

test('a worker is killed while the steps run: each event is added up once', async () => {
  await createDemoPoints({ databaseUrl: world.databaseUrl, count: 50_000, members: 100 });
  await meanwhile('PERFORM pg_sleep(0.01)');
  const handle = await world.start('pointSettlement', { date });
  await waitFor(async () => (await ledgerCounters(stores, 'usage')).read > 0);
  const [worker] = world.workers;
  await worker?.kill('SIGKILL');
  await worker?.restart();
  expect(await reportOf(handle)).toMatchObject({ status: 'completed' });
  expect(await settlements()).toEqual(await settled());
});

test('a rerun takes the day over from a settlement that has not ended', async () => {
  await createDemoPoints({ databaseUrl: world.databaseUrl, count: 20_000, members: 100 });
  await meanwhile('PERFORM pg_sleep(0.03)');
  const first = await world.start('pointSettlement', { date });
  await waitFor(
    async () => (await stores.migration.query('SELECT FROM point_cut_off')).rows.length > 0 || undefined,
  );
  await control(first, 'pause', 'test');
  await until(world, first.workflowId, 'paused');
  await stores.migration.query('DROP TRIGGER meanwhile ON point_settlement');
  const rerun = await run(world, 'pointSettlement', { date, rerun: 1 });
  expect(rerun).toMatchObject({ status: 'completed' });
  await control(first, 'resume');
  expect((await failureOf(first)).message).toContain('was replaced by a later rerun');
  expect(await settlements()).toEqual(await settled());
});
