import type { WorkflowHandle } from '@temporalio/client';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { gatedTable } from '../support/jobs/gated.ts';
import { control, reportOf, startVerification, stepOf, until } from '../support/runs.ts';
import { createWorld, testJobsWorker, waitFor, type World } from '../support/stack.ts';

let world: World;
let pool: pg.Pool;

const told = { items: 1_500, chunkSize: 20, rowsPerSecond: 250, partitions: 2, pageSeconds: 5 };

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

const busy = 'the database: the month is being closed';

test('a health that says no holds the job back in the middle, and yes lets it go on: nothing lost or doubled', async () => {
  // No page ends before the job does: the one that runs has to look.
  const slow = { items: 2_000, rowsPerSecond: 200, pageSeconds: 60 };
  const handle = await world.start('gated', { run: 'middle', ...told, ...slow });
  await waitFor(async () => (await written('middle')).rows > 100);
  await health(false, 'the month is being closed');
  const throttled = await until(world, handle.workflowId, 'throttled', 15_000);
  expect(throttled.reason).toBe(busy);
  const atRest = await written('middle');
  expect(atRest.rows).toBeLessThan(slow.items);
  const { searchAttributes } = await handle.describe();
  expect(searchAttributes).toMatchObject({ KeystrideStatus: ['throttled'] });
  await health(true);
  await until(world, handle.workflowId, 'running');
  await handle.executeUpdate('tune', { args: [{ rowsPerSecond: 0 }] });
  const report = await reportOf(handle);
  expect(report.status).toBe('completed');
  expect(await written('middle')).toEqual({ rows: slow.items, items: slow.items });
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

test('quiet hours of a worker hold what it is given as those of a step do', async () => {
  const environment = { KEYSTRIDE_TASK_QUEUE: 'quiet', KEYSTRIDE_QUIET_HOURS: '00:00-24:00' };
  const worker = await world.startWorker({ environment });
  const handle = await world.client.workflow.start('gated', {
    ...{ taskQueue: 'quiet', workflowId: 'quiet', args: [{ run: 'quiet', ...told }] },
  });
  expect(await until(world, 'quiet', 'throttled')).toMatchObject({
    reason: 'quiet hours 00:00-24:00 UTC, and they leave no time to run in',
  });
  await control(handle, 'stop');
  expect(await reportOf(handle)).toMatchObject({ status: 'stopped' });
  expect(await written('quiet')).toEqual({ rows: 0, items: 0 });
  await worker.stop();
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
        /^went on without knowing the health of the database: .*boolean/u,
      ) as string,
    }),
  );
});

test('verifications hold between two comparisons, tasklets before they begin; each is done once', async () => {
  await health(true);
  // One page, if nothing holds it back.
  const slowly = { ...told, items: 2_000, pageSeconds: 60 };
  const compared = await world.start('gated', { run: 'compared', kind: 'verification', ...slowly });
  const readOf = async () => stepOf(await world.progress(compared.workflowId), 'compare').read;
  await waitFor(async () => {
    const { pendingActivities } = (await compared.describe()).raw;
    return pendingActivities?.some(({ lastHeartbeatTime }) => lastHeartbeatTime);
  });
  await health(false, 'the month is being closed');
  expect(await until(world, compared.workflowId, 'throttled', 15_000)).toMatchObject({ reason: busy });
  expect(await readOf()).toBeGreaterThan(0);
  expect(await readOf()).toBeLessThan(2_000);

  const once = await world.start('gated', { run: 'once', kind: 'tasklet', items: 1 });
  const never = await world.start('gated', { run: 'never', kind: 'tasklet', items: 1 });
  const parameters = { run: 'asked', kind: 'verification', ...told, items: 200 };
  const asked = await startVerification(world, { job: 'gated', parameters });
  for (const { workflowId } of [once, never])
    expect(await until(world, workflowId, 'throttled')).toMatchObject({ reason: busy });
  await waitFor(async () => (await detailsOf(asked)) === `**throttled**: ${busy}`);
  await control(never, 'stop', 'enough');
  expect(await reportOf(never)).toMatchObject({ status: 'stopped', reason: 'enough' });
  expect(await written('once')).toEqual({ rows: 0, items: 0 });

  await health(true);
  const reports = [await reportOf(compared), await reportOf(once)] as const;
  expect(stepOf(reports[0], 'compare')).toMatchObject({ status: 'completed', read: 2_000 });
  expect(reports[1].status).toBe('completed');
  for (const { steps } of reports)
    expect(steps[0]?.decisions).toMatchObject([{ reason: busy }, { reason: 'went on' }]);
  expect(await asked.result()).toMatchObject({ verified: true, compared: 200 });
  expect(await detailsOf(asked)).toBe('');
  expect(await written('once')).toEqual({ rows: 1, items: 1 });
  expect(await written('never')).toEqual({ rows: 0, items: 0 });
});

/** What the UI shows as Current Details. */
async function detailsOf(handle: WorkflowHandle): Promise<string | undefined> {
  const metadata = await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
  return metadata.currentDetails;
}
