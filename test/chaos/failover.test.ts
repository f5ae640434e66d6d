import type { WorkflowHandle } from '@temporalio/client';
import type pg from 'pg';
import { afterEach, expect, test } from 'vitest';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { createDemoPoints } from '../../src/demo-data/points.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { createFailoverWorld, type FailoverWorld, type Standby } from '../support/failover.ts';
import { addTargets, expectMigrated, openStores } from '../support/migration.ts';
import { seededRandom } from '../support/random.ts';
import { reportOf, startVerification } from '../support/runs.ts';
import { waitFor, type World } from '../support/stack.ts';
import keptSeeds from './seeds/failover.json' with { type: 'json' };

// A standby that lacks the last commits takes the primary's place while a job runs. Whatever was answered and is gone is
// done again by the run, or by the start after it, and no row is left out without a word.
let failover: FailoverWorld | undefined;

afterEach(async () => {
  await failover?.dispose();
  failover = undefined;
});

/** A job over so many rows, and what is to be there at its end. */
interface Case {
  readonly job: string;
  readonly parameters: object;
  readonly rows: number;
  readonly fill: (world: World, primary: pg.Pool) => Promise<unknown>;
  readonly expectAll: (world: World, standby: Standby) => Promise<void>;
}

const day = '2025-10-01';

const cases: readonly Case[] = [
  {
    job: 'purchaseConfirmation',
    parameters: { deliveredBefore: day },
    rows: 100_000,
    fill: ({ databaseUrl }) =>
      createDemoOrders({ databaseUrl, count: 100_000, deliveredShare: 1, reset: true }),
    expectAll: async (_, { pool }) => {
      const { rows } = await pool.query(
        `SELECT count(*) FILTER (WHERE purchase_confirmed_at IS NULL)::int AS open, count(*)::int AS orders FROM orders`,
      );
      expect(rows).toEqual([{ open: 0, orders: 100_000 }]);
    },
  },
  {
    job: 'pointSettlement',
    parameters: { date: day },
    rows: 20_000,
    fill: ({ databaseUrl }) => createDemoPoints({ databaseUrl, count: 100_000, reset: true }),
    expectAll: async (_, { pool }) => {
      const { rows } = await pool.query(
        `WITH summed AS (
           SELECT member_id,
                  coalesce(sum(amount) FILTER (WHERE type = 'ACCRUE'), 0) AS accrued,
                  coalesce(sum(amount) FILTER (WHERE type = 'USE'), 0) AS used,
                  coalesce(sum(amount) FILTER (WHERE type = 'EXPIRE'), 0) AS expired
             FROM point_event
            WHERE occurred_at >= $1::timestamptz AND occurred_at < $1::timestamptz + interval '24 hours'
            GROUP BY member_id)
         SELECT (SELECT count(*) FROM summed)::int - (SELECT count(*) FROM point_settlement)::int AS missing,
                (SELECT count(*) FROM summed JOIN point_settlement AS found USING (member_id)
                  WHERE (summed.accrued, summed.used, summed.expired) <> (found.accrued, found.used, found.expired))::int
                  AS wrong,
                (SELECT count(*) FROM point_daily_total)::int AS totals`,
        [`${day}T00:00:00Z`],
      );
      expect(rows).toEqual([{ missing: 0, wrong: 0, totals: 1 }]);
    },
  },
  {
    job: 'documentMigration',
    parameters: { inFlight: 10 },
    rows: 120,
    fill: async (world) => {
      const stores = openStores(world);
      await addTargets(stores, 120);
      await stores.close();
    },
    expectAll: async (world, { databaseUrl, sourceDatabaseUrl }) => {
      const stores = openStores({ mongodbUrl: world.mongodbUrl, databaseUrl, sourceDatabaseUrl });
      try {
        await expectMigrated(stores, { documents: 120 });
      } finally {
        await stores.close();
      }
    },
  },
  {
    job: 'tableSync',
    parameters: { run: 1, source: 'shop.item' },
    rows: 60_000,
    fill: async ({ sourceDatabaseUrl }, primary) => {
      const source = createPool(sourceDatabaseUrl, 'a test', 1);
      for (const pool of [source, primary])
        await pool.query('CREATE SCHEMA shop; CREATE TABLE shop.item (id bigint PRIMARY KEY, name text)');
      await source.query(
        `INSERT INTO shop.item SELECT n, 'item ' || n FROM generate_series(1, 60000) AS n; ANALYZE shop.item`,
      );
      await source.end();
    },
    expectAll: async (_, { pool, sourceDatabaseUrl }) => {
      const source = createPool(sourceDatabaseUrl, 'a test', 1);
      const hashOf = async (of: pg.Pool) =>
        (
          await of.query(
            `SELECT count(*)::int AS rows, md5(string_agg(each::text, ',' ORDER BY id)) AS hash FROM shop.item AS each`,
          )
        ).rows;
      expect(await hashOf(pool)).toEqual(await hashOf(source));
      await source.end();
    },
  },
];

/** Fractions of the rows that have committed when the standby stops getting more (before the claim: below 0), and when the primary dies. */
interface Moments {
  readonly cutAt: number;
  readonly dieAt: number;
}

async function committed(primary: pg.Pool): Promise<number> {
  const { rows } = await primary.query<{ read: string }>(
    'SELECT coalesce(sum(read), 0) AS read FROM keystride.checkpoint',
  );
  return Number(rows[0]?.read);
}

async function instanceStatus({ pool }: Standby): Promise<string | undefined> {
  const { rows } = await pool.query<{ status: string }>('SELECT status FROM keystride.instance');
  return rows[0]?.status;
}

/** A report, or how it failed. */
async function endOf(handle: WorkflowHandle): Promise<string> {
  return reportOf(handle).then(
    ({ status }: JobProgress) => status,
    (error: Error) => (error.cause as Error | undefined)?.message ?? error.message,
  );
}

/** Servers, a standby and a worker of its own come up first, which takes its time on a busy machine. */
const timeout = 300_000;

async function failOverDuring({ job, parameters, rows, fill, expectAll }: Case, { cutAt, dieAt }: Moments) {
  failover = await createFailoverWorld({ legacyApi: ['--latency=20'] });
  const { world, primary, cutReplication, failOver } = failover;
  await fill(world, primary);
  await failover.caughtUp();
  if (cutAt < 0) cutReplication();
  const handle = await world.start(job, parameters, job);
  const until = (share: number) =>
    waitFor(
      async () =>
        (await committed(primary)) >= share * rows || (await handle.describe()).status.name !== 'RUNNING',
      { everyMs: 5, timeoutMs: 90_000 },
    );
  await until(cutAt);
  cutReplication();
  await until(dieAt);
  const beforeDeath = await committed(primary);
  const standby = await failOver();
  console.log(`failed over with ${await committed(standby.pool)} of ${beforeDeath} rows`);
  const first = await endOf(handle);
  const left = await instanceStatus(standby);
  console.log(`${job}: the run says ${first}, the ledger ${left}`);
  // Only what was answered to the run before the failover may be lost after its end; then a start does it again.
  if (left !== 'completed') expect(await endOf(await world.start(job, parameters, job))).toBe('completed');
  expect(await instanceStatus(standby)).toBe('completed');
  await expectAll(world, standby);
}

test.for(cases)(
  '$job: a standby without the last commits is promoted at some moment',
  { timeout },
  async (one) => {
    const { seed, between } = seededRandom(`failover of ${one.job}`);
    const cutAt = between(0, 0.9);
    console.log(`cut at ${cutAt.toFixed(2)} of the rows, seed ${seed}`);
    await failOverDuring(one, { cutAt, dieAt: between(cutAt, 1) });
  },
);

test.for(cases.filter(({ job }) => ['purchaseConfirmation', 'documentMigration'].includes(job)))(
  '$job: the database is restored to before the claim while it runs',
  { timeout },
  async (one) => {
    await failOverDuring(one, { cutAt: -1, dieAt: 0.5 });
  },
);

test(
  'the end of the last step was on the primary alone, and its worker had not heard of it',
  { timeout },
  async () => {
    const [{ job, parameters, fill, expectAll, rows }] = cases as readonly [Case];
    failover = await createFailoverWorld();
    const { world, worker, primary, cutReplication, failOver } = failover;
    await fill(world, primary);
    await failover.caughtUp();
    const handle = await world.start(job, parameters, job);
    await waitFor(async () => (await committed(primary)) > rows / 4, { everyMs: 5 });
    cutReplication();
    await waitFor(
      async () =>
        (await primary.query(`SELECT FROM keystride.step WHERE status = 'completed'`)).rowCount === 1,
      { everyMs: 2 },
    );
    await worker.kill('SIGSTOP');
    const standby = await failOver();
    expect(await committed(standby.pool)).toBeLessThan(rows);
    await worker.kill('SIGCONT');
    expect(await endOf(handle)).toBe('completed');
    expect(await instanceStatus(standby)).toBe('completed');
    await expectAll(world, standby);
  },
);

test(
  'what a repair has put right on the primary alone is put right again on the standby',
  { timeout },
  async () => {
    const { job, parameters, fill, expectAll } = cases.find((one) => one.job === 'tableSync') as Case;
    failover = await createFailoverWorld();
    const { world, primary, cutReplication, failOver } = failover;
    await fill(world, primary);
    expect(await endOf(await world.start(job, parameters, job))).toBe('completed');
    // Two repairs take longer than a page may: the third is the next one's.
    await primary.query(`UPDATE shop.item SET name = 'damaged' WHERE id IN (5, 30005, 50005);
      CREATE FUNCTION shop.linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(5.5); RETURN new; END';
      CREATE TRIGGER linger BEFORE UPDATE ON shop.item FOR EACH ROW EXECUTE FUNCTION shop.linger()`);
    await failover.caughtUp();
    cutReplication();
    const verification = await startVerification(world, { job, parameters, repair: true });
    const isRight = async (id: number) =>
      (await primary.query(`SELECT FROM shop.item WHERE id = $1 AND name <> 'damaged'`, [id])).rowCount === 1;
    await waitFor(() => isRight(30_005), { timeoutMs: 60_000 });
    await waitFor(
      async () =>
        (await primary.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'`)).rowCount === 1,
    );
    const standby = await failOver();
    expect(await verification.result()).toMatchObject({ verified: true, repaired: 3 });
    await expectAll(world, standby);
  },
);

test.for(keptSeeds as readonly { job: string; cutAt: number; dieAt: number; why: string }[])(
  '$job: $why',
  { timeout },
  async ({ job, ...moments }) => {
    await failOverDuring(cases.find((one) => one.job === job) as Case, moments);
  },
);
