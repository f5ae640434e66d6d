import path from 'node:path';
import { Client } from '@temporalio/client';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { messages } from '../../packages/keystride/src/contract/messages.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { writeWorkflowBundle } from '../../packages/keystride/src/host/workflow-bundle.ts';
import { gatedTable } from '../support/jobs/gated.ts';
import { control, reportOf, stepOf } from '../support/runs.ts';
import { createWorld, testJobsWorker, waitFor, type World } from '../support/stack.ts';
import { startTimeSkippingServer, type TimeSkippingServer } from 'keystride/testing';

const hour = 3_600_000;

let temporal: TimeSkippingServer;
let client: Client;
let world: World;
let pool: pg.Pool;

beforeAll(async () => {
  temporal = await startTimeSkippingServer();
  client = new Client({ connection: temporal.connection });
  world = await createWorld({ workerProgram: testJobsWorker });
  pool = new pg.Pool({ connectionString: world.databaseUrl, max: 2 });
  await pool.query(gatedTable);
  const workflows = path.join(inject('keystride').bundles, `quiet-${process.pid}.js`);
  await writeWorkflowBundle(workflows, path.join(import.meta.dirname, '../support/jobs/workflows.ts'));
  await world.startWorker({
    environment: {
      ...{ TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: 'default' },
      KEYSTRIDE_WORKFLOW_BUNDLE: workflows,
    },
  });
});

afterAll(async () => {
  await pool?.end();
  await world?.dispose();
  await temporal?.stop();
});

/** The time of day so many hours from a moment. */
function clock(at: number, hours: number): string {
  return new Date(at + hours * hour).toISOString().slice(11, 16);
}

async function start(run: string, quietHours: readonly { from: string; to: string }[]) {
  // One partition: this server now and then loses the workflow task of a child that is cancelled while its page ends.
  const told = { run, items: 300, quietHours };
  const args = [told];
  return client.workflow.start('gated', { taskQueue: world.taskQueue, workflowId: run, args });
}

test('a job that meets quiet hours waits for hours until they are over, and then does each item once', async () => {
  const began = await temporal.now();
  const handle = await start('quiet', [{ from: clock(began, -1), to: clock(began, 9) }]);
  const progress = () => handle.query<JobProgress>(messages.progress);
  const throttled = await waitFor(async () => {
    const found = await progress();
    return found.status === 'throttled' && found;
  });
  expect(throttled.reason).toMatch(/^quiet hours \d\d:\d\d-\d\d:\d\d UTC, until .*Z$/u);

  await temporal.pass(8 * hour);
  expect((await progress()).status).toBe('throttled');
  const before = await pool.query('SELECT FROM gate_output');
  expect(before.rows).toEqual([]);

  await waitFor(
    async () => {
      await temporal.pass(hour / 12);
      return (await progress()).status !== 'throttled';
    },
    { everyMs: 10 },
  );
  const waited = (await temporal.now()) - began;
  expect(waited).toBeGreaterThan(8.9 * hour);
  expect(waited).toBeLessThan(9.5 * hour);
  const report = await reportOf(handle);
  expect(report.status).toBe('completed');
  const { rows } = await pool.query(
    'SELECT count(*)::int AS rows, count(DISTINCT item)::int AS items FROM gate_output',
  );
  expect(rows).toEqual([{ rows: 300, items: 300 }]);
  const [first, last, ...more] = stepOf(report, 'items').decisions ?? [];
  expect(first).toMatchObject({ what: 'throttled', to: 3600 });
  expect(last).toMatchObject({ what: 'throttled', to: null, reason: 'went on' });
  expect(last?.from).toBeGreaterThan(8.9 * 3600);
  expect(more).toEqual([]);
  // Nine hours of waiting cost about seventy of them.
  expect((await handle.describe()).historyLength).toBeLessThan(150);
});

test('a job that waits out quiet hours can be stopped', async () => {
  const began = await temporal.now();
  const handle = await start('stopped', [{ from: clock(began, -1), to: clock(began, 9) }]);
  await waitFor(async () => (await handle.query<JobProgress>(messages.progress)).status === 'throttled');
  await control(handle, 'stop', 'not tonight');
  expect(await reportOf(handle)).toMatchObject({ status: 'stopped', reason: 'not tonight' });
  expect((await temporal.now()) - began).toBeLessThan(hour);
});
