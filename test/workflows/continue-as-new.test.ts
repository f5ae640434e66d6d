import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { authorshipMemo } from '../../packages/keystride/src/contract/audit.ts';
import { messages } from '../../packages/keystride/src/contract/messages.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { verificationsOf } from '../../packages/keystride/src/operator/verify.ts';
import type { VerificationReport } from '../../packages/keystride/src/contract/verification.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { verifiedItemsTable } from '../support/jobs/verified-items.ts';
import { control, failureOf, reportOf, stepOf } from '../support/runs.ts';
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
  await stores.migration.query(verifiedItemsTable);
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

// Twenty pages of six events each; every fifth page has a difference.
const verified = { run: 'verified', items: 200, askedEvery: 50, comparisonMilliseconds: 20 };
const askedAt = '2026-01-01T00:00:00.000Z';
const repairedAt = '2026-01-02T00:00:00.000Z';
const askedFor = ['item 0', 'item 50', 'item 100', 'item 150'];

/** Starts a comparison of what a run of verifiedItems has left. */
function verify(workflowId: string, input: object): Promise<WorkflowHandle> {
  return client.workflow.start('verification', {
    taskQueue: world.taskQueue,
    workflowId,
    args: [{ job: 'verifiedItems', ...input }],
    memo: { [authorshipMemo]: { by: { operator: 'mina', from: 'command' } } },
  });
}

test('a verification continues as new where it was, with what it has found: in a run, asked for, and repairing', async () => {
  const handle = await start(verified, 'verified', 'verifiedItems');
  const latest = client.workflow.getHandle('verified');
  const progress = () => latest.query<JobProgress>(messages.progress);
  // A run that is paused as it begins has not opened the step.
  const read = async () => (await progress()).steps.find(({ step }) => step === 'compare')?.read;
  await waitFor(async () => (await runsOf('verified')).length > 1, { what: 'a second run' });
  await control(latest, 'pause', 'lunch');
  await waitFor(async () => (await progress()).status === 'paused', { what: 'a pause' });
  const before = await read();
  await delay(300);
  expect(await read()).toBe(before);
  await control(latest, 'resume');
  const { type, message } = await failureOf(handle);
  expect(type).toBe('VerificationFailed');
  expect(message).toContain(`4 differences among 200 keys: ${askedFor.join('; ')}`);
  expect((await runsOf('verified')).length).toBeGreaterThan(2);

  const askedId = `verification/verified/${askedAt}`;
  const repairedId = `verification/verified/${repairedAt}`;
  const found = (await (await verify(askedId, { parameters: verified })).result()) as VerificationReport;
  // Of both steps: a run that has the first one compared goes on with the second.
  expect(found).toMatchObject({ verified: false, compared: 400, differences: 8, repaired: 0 });
  expect(found.examples).toEqual([...askedFor, ...askedFor]);

  const repairing = await verify(repairedId, { parameters: verified, repair: true });
  const repaired = (await repairing.result()) as VerificationReport;
  expect(repaired).toMatchObject({ verified: true, compared: 400, differences: 0, repaired: 4 });
  expect(repaired.examples).toEqual(askedFor);
  const runs = await runsOf(repairedId);
  expect(runs.length).toBeGreaterThan(3);
  const { rows } = await stores.migration.query(
    `SELECT operator, run_id FROM keystride.audit WHERE action = 'verify repair'`,
  );
  expect(rows, 'asked for once').toEqual([{ operator: 'mina', run_id: runs.at(-1) }]);
  const shown = await waitFor(
    async () => {
      const all = await verificationsOf({ client }, 'verified');
      return all.every(({ report }) => report !== null) && all;
    },
    { what: 'both to be listed as completed' },
  );
  expect(shown.map(({ startedAt, report }) => [startedAt, report?.differences])).toEqual([
    [repairedAt, 0],
    [askedAt, 8],
  ]);
});

test('a verification that has continued as new is cancelled like any other', async () => {
  const handle = await verify('cancelled', {
    parameters: { items: 100_000, askedEvery: 50, run: 'cancelled' },
  });
  await waitFor(async () => (await runsOf('cancelled')).length > 1, { what: 'a second run' });
  await client.workflow.getHandle('cancelled').cancel();
  const ended = await handle.result().catch((error: unknown) => error);
  expect(ended).toBeInstanceOf(WorkflowFailedError);
  expect((ended as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
});
