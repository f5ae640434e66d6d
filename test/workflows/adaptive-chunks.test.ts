import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { gatedTable } from '../support/jobs/gated.ts';
import { reportOf, stepOf } from '../support/runs.ts';
import { createWorld, testJobsWorker, type World } from '../support/stack.ts';

let world: World;
let pool: pg.Pool;

beforeAll(async () => {
  world = await createWorld({ workerProgram: testJobsWorker });
  pool = new pg.Pool({ connectionString: world.databaseUrl, max: 2 });
  await pool.query(gatedTable);
  await world.startWorker();
});

afterAll(async () => {
  await pool?.end();
  await world?.dispose();
});

async function report(run: string, told: object): Promise<JobProgress> {
  return reportOf(await world.start('gated', { run, ...told }, run));
}

/** Each of the numbers once. */
async function expectAllOnce(run: string, items: number): Promise<void> {
  const { rows } = await pool.query<{ rows: number; items: number }>(
    'SELECT count(*)::int AS rows, count(DISTINCT item)::int AS items FROM gate_output WHERE run = $1',
    [run],
  );
  expect(rows).toEqual([{ rows: items, items }]);
}

/** Rows of a chunk that takes the target's time, where n rows take n² × 0.025 ms: 80. */
const slower = {
  millisecondsOfSquare: 0.025,
  adaptiveChunks: { targetSeconds: 0.16, minimum: 4, maximum: 400 },
};
const justRight = 80;

test.each(['items', 'set'] as const)(
  'chunks of %s that take too long become smaller, over pages, and it is told why',
  async (kind) => {
    // The first chunk takes 1 s, six times the target.
    const run = `smaller ${kind}`;
    const told = { kind, items: 800, chunkSize: 200, pageSeconds: 1, ...slower };
    const progress = await report(run, told);
    const { decisions = [], written } = stepOf(progress, 'items');
    expect(written).toBe(800);
    expect(decisions[0]).toMatchObject({
      ...{ what: 'chunkSize', from: 200, partition: 0 },
      reason: expect.stringMatching(/^a chunk of \d+ took .* s, the target is 160 ms$/u) as string,
    });
    // Never above what a quiet machine does in time; a busy one may ask for less.
    expect(decisions.at(-1)?.to).toBeLessThan(justRight * 1.2);
    await expectAllOnce(run, 800);
  },
);

test('chunks that are quick become larger where they may, by partitions too, and their job hears of it', async () => {
  const told = { items: 3_000, chunkSize: 10, partitions: 2, pageSeconds: 1 };
  const quick = { adaptiveChunks: { targetSeconds: 30, minimum: 1, maximum: 60 } };
  const { decisions = [] } = stepOf(await report('larger', { ...told, ...quick }), 'items');
  // In one page or over several, as the machine allows.
  for (const partition of [0, 1]) {
    const own = decisions.filter((decision) => decision.partition === partition);
    expect([own.at(0)?.from, own.at(-1)?.to]).toEqual([10, 60]);
  }
  await expectAllOnce('larger', 3_000);
});

test('what an operator tunes is kept to', async () => {
  const told = { items: 600, chunkSize: 200, pageSeconds: 1, ...slower };
  const handle = await world.start('gated', { run: 'tuned', ...told });
  await handle.executeUpdate('tune', { args: [{ chunkSize: 150 }] });
  const { decisions = [] } = stepOf(await reportOf(handle), 'items');
  expect(decisions.filter(({ from }) => from === 150)).toEqual([]);
  await expectAllOnce('tuned', 600);
  // 150 rows take 0.6 s each time: more than three times the target.
  const { rows } = await pool.query<{ chunks: number }>(
    "SELECT count(DISTINCT xmin::text)::int AS chunks FROM gate_output WHERE run = 'tuned'",
  );
  expect(rows[0]?.chunks).toBeLessThanOrEqual(6);
});

test.each([
  { kind: 'set', partitions: 1 },
  { kind: 'items', partitions: 2 },
] as const)('a rate of rows is kept to over pages, by a step of $kind', async ({ kind, partitions }) => {
  const run = `rate ${kind}`;
  const began = performance.now();
  const told = { kind, items: 400, chunkSize: 1_000, partitions, rowsPerSecond: 100, pageSeconds: 1 };
  expect(await report(run, told)).toMatchObject({ status: 'completed' });
  const rate = 400 / ((performance.now() - began) / 1000);
  expect(rate).toBeLessThan(115);
  await expectAllOnce(run, 400);
});

const atMost = { targetSeconds: 2, minimum: 1, maximum: 200 };

test.each([
  { kind: 'items', adaptiveChunks: atMost, pageSeconds: 10 },
  { kind: 'set', adaptiveChunks: atMost, pageSeconds: 10 },
  // Its pages are over before a range is small enough: one commits all the same.
  { kind: 'set', adaptiveChunks: false, pageSeconds: 0.5 },
] as const)(
  'chunks of $kind that run into the statement time-out come through by halves, in pages of $pageSeconds s',
  async ({ kind, ...policy }) => {
    const run = `time-out ${kind} ${policy.pageSeconds}`;
    // 200 rows at once take 2.4 s, 100 take 0.6 s, 50 take 0.15 s.
    const cost = { millisecondsOfSquare: 0.06, statementTimeoutMs: 300 };
    const progress = await report(run, { kind, items: 400, chunkSize: 200, ...cost, ...policy });
    const { decisions = [], written } = stepOf(progress, 'items');
    expect(written).toBe(400);
    expect(decisions[0]).toMatchObject({
      ...{ what: 'chunkSize', from: 200, partition: 0 },
      reason: '100 at once: canceling statement due to statement timeout (SQLSTATE 57014)',
    });
    await expectAllOnce(run, 400);
  },
);
