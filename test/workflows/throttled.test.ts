import type { WorkflowHandle } from '@temporalio/client';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { gatedTable } from '../support/jobs/gated.ts';
import { control, reportOf, stepOf, until } from '../support/runs.ts';
import { createWorld, testJobsWorker, waitFor, type World } from '../support/stack.ts';

let world: World;
let pool: pg.Pool;

const items = 1_500;

/** Long enough to be held back in the middle, on a quick machine too. */
const told = { items, chunkSize: 20, rowsPerSecond: 250, partitions: 2, pageSeconds: 5 };

beforeAll(async () => {
  world = await createWorld({ workerProgram: testJobsWorker });
  pool = new pg.Pool({ connectionString: world.databaseUrl, max: 4 });
  await pool.query(gatedTable);
  await pool.query('CREATE TABLE health (fine boolean, reason text)');
  await world.startWorker({
    environment: { KEYSTRIDE_HEALTH_QUERY: 'SELECT fine, reason FROM health' },
  });
});

afterAll(async () => {
  await pool?.end();
  await world?.dispose();
});

const health = (fine: boolean | null, reason = '') =>
  pool.query('WITH before AS (DELETE FROM health) INSERT INTO health VALUES ($1, $2)', [fine, reason]);

beforeEach(() => health(true));

async function written(run: string): Promise<{ rows: number; items: number }> {
  const { rows } = await pool.query<{ rows: number; items: number }>(
    'SELECT count(*)::int AS rows, count(DISTINCT item)::int AS items FROM gate_output WHERE run = $1',
    [run],
  );
  return rows[0] ?? { rows: 0, items: 0 };
}

async function eventsOf(handle: WorkflowHandle): Promise<number> {
  return (await handle.describe()).historyLength;
}

const busy = 'the migration database: the month is being closed';

test('a health that says no holds the job back in the middle, and yes lets it go on: nothing lost or doubled', async () => {
  const handle = await world.start('gated', { run: 'middle', ...told });
  await waitFor(async () => (await written('middle')).rows > 100);
  await health(false, 'the month is being closed');
  const throttled = await until(world, handle.workflowId, 'throttled', 15_000);
  expect(throttled.reason).toBe(busy);
  const atRest = await written('middle');
  expect(atRest.rows).toBeLessThan(items);
  const { searchAttributes } = await handle.describe();
  expect(searchAttributes).toMatchObject({ KeystrideStatus: ['throttled'] });
  await health(true);
  await until(world, handle.workflowId, 'running');
  const report = await reportOf(handle);
  expect(report.status).toBe('completed');
  expect(await written('middle')).toEqual({ rows: items, items });
  const held = stepOf(report, 'items').decisions?.filter(({ what }) => what === 'throttled');
  // Once for the job, whichever of its partitions met it.
  expect(held).toMatchObject([
    { from: null, to: 10, reason: busy },
    { to: null, reason: 'went on' },
  ]);
  expect(held?.[1]?.from).toBeGreaterThanOrEqual(9);
});

test('a job that is held back from its start is paused, resumed and stopped at once, and costs few events', async () => {
  await health(false, 'the month is being closed');
  // What this process knows is a few seconds old.
  await new Promise((done) => setTimeout(done, 3_500));
  const handle = await world.start('gated', { run: 'start', ...told });
  await until(world, handle.workflowId, 'throttled');
  const events = await eventsOf(handle);
  expect(events).toBeLessThan(50);

  let asked = performance.now();
  await control(handle, 'pause', 'lunch');
  expect(await until(world, handle.workflowId, 'paused', 3_000)).toMatchObject({ reason: 'lunch' });
  expect(performance.now() - asked, 'paused while it would have slept').toBeLessThan(3_000);
  await control(handle, 'resume');
  await until(world, handle.workflowId, 'throttled');

  // A tuning only makes it look again.
  await handle.executeUpdate('tune', { args: [{ rowsPerSecond: 0 }] });
  expect((await world.progress(handle.workflowId)).status).toBe('throttled');

  asked = performance.now();
  await control(handle, 'stop', 'enough');
  expect(await reportOf(handle)).toMatchObject({ status: 'stopped', reason: 'enough' });
  expect(performance.now() - asked, 'stopped while it would have slept').toBeLessThan(3_000);
  expect(await written('start')).toEqual({ rows: 0, items: 0 });
});

test('a health that cannot be read holds nobody, and the run says so', async () => {
  await health(null);
  await new Promise((done) => setTimeout(done, 3_500));
  const report = await reportOf(await world.start('gated', { run: 'unread', ...told, items: 200 }));
  expect(report.status).toBe('completed');
  expect(stepOf(report, 'items').decisions).toContainEqual(
    expect.objectContaining({
      what: 'throttled',
      reason: expect.stringMatching(
        /^went on without knowing the health of the migration database: .*boolean/u,
      ) as string,
    }),
  );
});
