import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { reportOf, stepOf } from '../support/runs.ts';
import { createWorld, testJobsWorker, waitFor, type TestWorker, type World } from '../support/stack.ts';

const targets = 1_000_000;

let world: World;
let stores: Stores;
let worker: TestWorker;

beforeAll(async () => {
  world = await createWorld({ workerProgram: testJobsWorker });
  stores = openStores(world);
  await stores.migration.query(
    `INSERT INTO migration_target (ticket_key) SELECT 'T-' || lpad(n::text, 7, '0') FROM generate_series(1, ${targets}) AS n`,
  );
  await stores.migration.query('VACUUM ANALYZE migration_target');
  // A small heap: with a large one V8 collects late, and that looks like growth. What leaks does not fit into it.
  worker = await world.startWorker({ environment: { NODE_OPTIONS: '--max-old-space-size=192' } });
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

/** Events of all workflows of a run together. */
async function historyEvents(handle: WorkflowHandle): Promise<number> {
  const ids = new Set([handle.workflowId]);
  let events = 0;
  for (const id of ids) {
    const { events: own } = await world.client.workflow.getHandle(id).fetchHistory();
    events += own?.length ?? 0;
    for (const event of own ?? []) {
      const child = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution?.workflowId;
      if (child) ids.add(child);
    }
  }
  return events;
}

test.for([
  { partitions: 1, chunkSize: 1000 },
  { partitions: 4, chunkSize: 1000 },
  { partitions: 1, chunkSize: 100 },
])(
  'a million targets, chunk $chunkSize in $partitions partitions: history within its budget, memory flat',
  async ({ partitions, chunkSize }) => {
    const started = performance.now();
    const handle = await world.start('noopTargets', { run: partitions * chunkSize, partitions, chunkSize });
    await stores.migration.query('SELECT 1');
    await waitFor(async () => (await readOf(partitions * chunkSize)) >= 300_000, { timeoutMs: 120_000 });
    const early = await worker.residentBytes();
    const report = await reportOf(handle);
    const late = await worker.residentBytes();
    const seconds = (performance.now() - started) / 1000;
    expect(stepOf(report, 'read')).toMatchObject({
      read: targets,
      written: targets,
      skipped: 0,
      filtered: 0,
    });
    const events = await historyEvents(handle);
    const inMebibytes = (resident: number) => Math.round(resident / 2 ** 20);
    console.log(
      `${partitions} partitions, chunk ${chunkSize}: ${seconds.toFixed(1)} s, ${events} events, ` +
        `${inMebibytes(early)} MiB at 300,000 rows, ${inMebibytes(late)} MiB at the end`,
    );
    expect(events).toBeLessThanOrEqual(Math.max(500, seconds * partitions));
    expect(inMebibytes(late)).toBeLessThan(inMebibytes(early) + 50);
    expect(inMebibytes(late)).toBeLessThan(400);
  },
);

async function readOf(run: number): Promise<number> {
  const { rows } = await stores.migration.query<{ read: string }>(
    'SELECT coalesce(sum(read), 0) AS read FROM keystride.checkpoint WHERE instance_key = $1',
    [`noopTargets:run=${run}`],
  );
  return Number(rows[0]?.read);
}

test('the counters of all runs are those of the ledger', async () => {
  expect((await ledgerCounters(stores, 'read')).read).toBe(3 * targets);
});
