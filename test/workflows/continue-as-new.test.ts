import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { messages } from '../../packages/keystride/src/contract/messages.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { control, reportOf, stepOf } from '../support/runs.ts';
import { createWorld, testJobsWorker, waitFor, type World } from '../support/stack.ts';
import { startTemporalServer, type TemporalServer } from '../support/temporal-server.ts';

// A server that suggests a new history after a few dozen events, where a real one does after thousands.
let temporal: TemporalServer;
let connection: Connection;
let client: Client;
let world: World;
let stores: Stores;

beforeAll(async () => {
  temporal = await startTemporalServer({ 'limit.historyCount.suggestContinueAsNew': 40 });
  connection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection });
  world = await createWorld({ workerProgram: testJobsWorker });
  stores = openStores(world);
  await world.startWorker({
    environment: { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: 'default' },
  });
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
  await connection?.close();
  await temporal?.stop();
});

function start(parameters: object, workflowId: string, job = 'scriptedItems'): Promise<WorkflowHandle> {
  return client.workflow.start(job, {
    taskQueue: world.taskQueue,
    workflowId,
    args: [parameters],
  });
}

async function runsOf(workflowId: string): Promise<string[]> {
  const runs: string[] = [];
  for await (const { runId } of client.workflow.list({ query: `WorkflowId = '${workflowId}'` }))
    runs.push(runId);
  return runs;
}

const script = { itemMilliseconds: 20, chunkSize: 5, pageSeconds: 0.2, skipEvery: 50, skipLimit: 100 };

test('a long run continues as new, in one partition, with its claim and its counters', async () => {
  const handle = await start({ ...script, run: 1, items: 900, window: 2 }, 'inline');
  const report = await reportOf(handle);
  expect(report).toMatchObject({ status: 'completedWithSkips', workflowId: 'inline' });
  expect(stepOf(report, 'pass')).toMatchObject({ read: 900, written: 882, skipped: 18 });
  expect(await ledgerCounters(stores, 'pass')).toMatchObject({ read: 900, written: 882, skipped: 18 });
  const { rows } = await stores.migration.query('SELECT epoch, owner_workflow_id FROM keystride.instance');
  expect(rows, 'claimed once').toEqual([{ epoch: '1', owner_workflow_id: 'inline' }]);
  await waitFor(async () => (await runsOf('inline')).length > 2, { what: 'three runs' });
});

test(
  'a pause holds across runs, and what is paused proceeds no further until resume',
  { timeout: 60_000 },
  async () => {
    const handle = await start(
      { ...script, run: 2, items: 1000, partitions: 8, window: 2, chunkSize: 10 },
      'paused',
    );
    const progress = () => client.workflow.getHandle('paused').query<JobProgress>(messages.progress);
    let pauses = 0;
    for (; pauses < 6; pauses++) {
      await delay(150 + 130 * (pauses % 5));
      const asked = await control(client.workflow.getHandle('paused'), 'pause', `pause ${pauses}`).catch(
        () => undefined,
      );
      if (asked === undefined) break;
      const held = await waitFor(
        async () => {
          const { status } = await progress();
          return (status === 'paused' || status.startsWith('completed')) && status;
        },
        { what: `pause ${pauses} of a job that was ${asked.status}` },
      );
      if (held !== 'paused') break;
      expect((await progress()).reason).toBe(`pause ${pauses}`);
      const before = (await counters(2)).read;
      await delay(300);
      expect((await counters(2)).read).toBe(before);
      await control(client.workflow.getHandle('paused'), 'resume');
    }
    expect(pauses).toBeGreaterThan(2);
    const report = await reportOf(handle);
    expect(stepOf(report, 'pass')).toMatchObject({ read: 1000, written: 980, skipped: 20 });
    const { startTime } = await client.workflow
      .getHandle('paused', (await runsOf('paused')).at(-1))
      .describe();
    expect(Math.abs(Date.parse(report.startedAt) - startTime.getTime()), 'of the first run').toBeLessThan(
      2_000,
    );
    await waitFor(async () => (await runsOf('paused')).length > 1, { what: 'a second run' });
  },
);

async function counters(run: number): Promise<{ read: number }> {
  const { rows } = await stores.migration.query<{ read: string }>(
    `SELECT coalesce(sum(read), 0) AS read FROM keystride.checkpoint WHERE instance_key LIKE $1`,
    [`scriptedItems:run=${run},%`],
  );
  return { read: Number(rows[0]?.read) };
}

test('nested jobs continue as new, and so does their parent between them', async () => {
  const told = { ...script, run: 100, items: 150, window: 2, inARow: 4 };
  const report = await reportOf(await start(told, 'in-a-row', 'nestedItems'));
  expect(report).toMatchObject({ status: 'completedWithSkips', workflowId: 'in-a-row' });
  expect(report.steps.map(({ step, kind }) => `${step} ${kind}`)).toEqual(
    [1, 2, 3, 4].map((part) => `part ${part} job`),
  );
  for (const step of report.steps) expect(step).toMatchObject({ read: 150, written: 147, skipped: 3 });
  await waitFor(async () => (await runsOf('in-a-row')).length > 1, { what: 'a second run of the parent' });
  const { rows } = await stores.migration.query<{ instance_key: string; epoch: string }>(
    `SELECT instance_key, epoch FROM keystride.instance WHERE params->>'run' BETWEEN '101' AND '104'`,
  );
  expect(
    rows.map(({ epoch }) => epoch),
    'each claimed once',
  ).toEqual(['1', '1', '1', '1']);
  const first = rows.find(({ instance_key }) => instance_key.includes('run=101,'))?.instance_key ?? '';
  await waitFor(async () => (await runsOf(first)).length > 1, { what: 'a second run of the nested job' });
});

test('a parent that continues as new lets a running nested job come to rest, and goes on with it', async () => {
  const told = { ...script, run: 200, items: 300, window: 2 };
  const report = await reportOf(await start(told, 'beside', 'nestedItems'));
  for (const step of ['pass', 'inner'])
    expect(stepOf(report, step)).toMatchObject({ status: 'completed', read: 300, written: 294, skipped: 6 });
  await waitFor(async () => (await runsOf('beside')).length > 1, { what: 'a second run of the parent' });
  const { rows } = await stores.migration.query<{ epoch: string }>(
    `SELECT epoch FROM keystride.instance WHERE job = 'scriptedItems' AND params->>'run' = '200'`,
  );
  expect(Number(rows[0]?.epoch), 'claimed again by each run of the parent').toBeGreaterThan(1);
});
