import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { withSession } from '../../packages/keystride/src/operator/connection.ts';
import { startRequest, startRun } from '../../packages/keystride/src/operator/start.ts';
import { fixtureOnce } from '../support/jobs/fixture-contract.ts';
import { openStores, type Stores } from '../support/migration.ts';
import { reportOf } from '../support/runs.ts';
import { createWorld, testJobsWorker, type World } from '../support/stack.ts';
import { keystride } from './support.ts';

/** After a restore, history and ledger may disagree about whether an instance has completed: the ledger is right. */
let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld({ workerProgram: testJobsWorker });
  stores = openStores(world);
  await world.startWorker();
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

const start = (to: number) =>
  keystride(['start', 'evenNumbers', '--param', `to=${to}`, '--watch', '-o', 'json'], world.environment);

test.each([
  ['its instance is gone', 'DELETE FROM keystride.instance WHERE instance_key = $1'],
  ['it runs', `UPDATE keystride.instance SET status = 'running' WHERE instance_key = $1`],
  [
    'its step is open',
    `WITH opened AS (UPDATE keystride.step SET status = 'open' WHERE instance_key = $1)
     UPDATE keystride.instance SET status = 'running' WHERE instance_key = $1`,
  ],
])('history says that it has completed, the ledger that %s: a start goes on', async (what, takeBack) => {
  const to = 10 + what.length;
  expect((await start(to)).json()).toMatchObject({ status: 'completed' });
  expect((await start(to)).json()).toMatchObject({ error: { type: 'JobInstanceAlreadyComplete' } });
  await stores.migration.query(takeBack, [`evenNumbers:from=1,to=${to}`]);
  expect((await start(to)).json()).toMatchObject({ status: 'completed' });
  const { rows } = await stores.migration.query(
    'SELECT status FROM keystride.instance WHERE instance_key = $1',
    [`evenNumbers:from=1,to=${to}`],
  );
  expect(rows).toEqual([{ status: 'completed' }]);
});

test('the ledger says that it has completed, and history that it was terminated: a start is refused', async () => {
  expect((await start(100)).json()).toMatchObject({ status: 'completed' });
  const handle = await world.client.workflow.start('evenNumbers', {
    // Nobody polls there: it stays where it is, as a run whose worker is gone.
    ...{ taskQueue: 'nobodys', workflowId: 'evenNumbers:from=1,to=100', args: [{}] },
  });
  await handle.terminate('as told');
  const refused = await start(100);
  expect(refused.exitCode).toBe(1);
  expect(refused.stdout + refused.stderr).toContain('has completed');
});

test('the ledger has lost that a job which must not be restarted has completed: a start is refused', async () => {
  for (const [name, value] of Object.entries(world.environment)) vi.stubEnv(name, value);
  const request = startRequest(fixtureOnce, { run: 'restored', items: 0 });
  await reportOf(
    await world.client.workflow.start('fixtureOnce', {
      ...{ taskQueue: world.taskQueue, workflowId: request.workflowId, args: [request.input] },
    }),
  );
  await stores.migration.query(`DELETE FROM keystride.instance WHERE job = 'fixtureOnce'`);
  await expect(withSession((session) => startRun(session, request))).rejects.toMatchObject({
    message: expect.stringMatching(/the ledger has lost that/u) as string,
  });
  vi.unstubAllEnvs();
});
