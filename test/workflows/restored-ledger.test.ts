import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { ScheduledJobInput } from '../../packages/keystride/src/contract/scheduled-job.ts';
import { type Stack, startStack } from '../../packages/keystride/src/dev/stack.ts';
import { keystride } from '../cli/support.ts';
import { backUp } from '../support/backup.ts';
import { openStores, type Stores } from '../support/migration.ts';
import { failureOf, run, stepOf } from '../support/runs.ts';
import { emptyShop, onBothSides, plain, readBy, rowsOf } from '../support/shop.ts';
import { createWorld, testJobsWorker, waitFor, type World } from '../support/stack.ts';

/** What operators do in a ledger that was restored to an earlier moment, while Temporal remembers what came after it. */
let home: string;
let stack: Stack<'postgres'>;
let world: World;
let stores: Stores;
let environment: NodeJS.ProcessEnv;
/** The sync whose rows 1 and 2 the sink refuses. */
let instance: string;
/** How a redrive ended that was at work when the ledger was restored to before it. */
let overtaken: { type: string; message: string };

beforeAll(async () => {
  const { cache } = inject('keystride');
  home = mkdtempSync(path.join(tmpdir(), 'keystride-restored-'));
  chmodSync(home, 0o711);
  stack = await startStack({ home, cache, parts: ['postgres'], environment: {} });
  const { databaseUrl } = stack.info;
  world = await createWorld({ workerProgram: testJobsWorker });
  environment = { ...world.environment, DATABASE_URL: databaseUrl };
  await told('migrate');
  stores = openStores({
    databaseUrl,
    mongodbUrl: world.mongodbUrl,
    sourceDatabaseUrl: world.sourceDatabaseUrl,
  });
  await world.startWorker({ environment: { DATABASE_URL: databaseUrl } });
  await liveAndRestore();
}, 240_000);

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
  await stack?.stop();
  rmSync(home, { recursive: true, force: true });
});

/** Runs a command, which succeeds. */
async function told(...words: string[]) {
  const result = await keystride(words, environment);
  expect(result.exitCode, result.stdout + result.stderr).toBe(0);
  return result;
}

const json = async (...words: string[]): Promise<unknown> => (await told(...words, '-o', 'json')).json();

const sync = (turn: number) =>
  run(world, 'tableSync', { source: 'shop.k', mode: 'incrementing', partitions: 1, run: turn });

const allowBad = () => stores.migration.query('ALTER TABLE shop.k DROP CONSTRAINT good');

const day = ['--from', '2025-10-02', '--to', '2025-10-02'];
const once = 'fixtureOnce:run=backfilled,date=2025-10-01';

async function statusOf(of: string): Promise<string | undefined> {
  const { rows } = await stores.migration.query<{ status: string }>(
    'SELECT status FROM keystride.instance WHERE instance_key = $1',
    [of],
  );
  return rows[0]?.status;
}

/** A schedule, which takes no action by itself, of a job that must not be restarted. */
function scheduleOnce(): Promise<unknown> {
  const parameters = { run: 'backfilled', date: '{{scheduled-1d}}', items: 0 };
  const input: ScheduledJobInput = { job: 'fixtureOnce', parameters, timeZone: 'UTC' };
  return world.client.schedule.create({
    scheduleId: 'once',
    spec: { cronExpressions: ['0 2 * * *'], timezone: 'UTC' },
    state: { paused: true },
    action: {
      type: 'startWorkflow',
      workflowType: 'scheduledJob',
      taskQueue: world.taskQueue,
      args: [input],
    },
  });
}

/** A day's work, half of which the restored ledger does not know. */
async function liveAndRestore(): Promise<void> {
  await emptyShop(stores);
  await onBothSides(stores, plain);
  await stores.migration.query(`ALTER TABLE shop.k ADD CONSTRAINT good CHECK (note <> 'bad')`);
  await stores.service.query(
    `INSERT INTO shop.k SELECT n, CASE WHEN n < 4 THEN 'bad' ELSE 'good' END FROM generate_series(1, 10) AS n`,
  );
  const first = await sync(1);
  expect(stepOf(first, 'copy').skipped).toBe(3);
  instance = first.instance ?? '';
  await scheduleOnce();
  const restore = await backUp(stack.parts.postgres);
  await told('skips', instance, 'waive', '--key', '1', '--reason', 'of the lost day');
  await allowBad();
  await told('skips', instance, 'redrive', '--key', '2', '--watch');
  await stores.service.query(`INSERT INTO shop.k SELECT n, 'good' FROM generate_series(11, 20) AS n`);
  await sync(2);
  await told('schedule', 'backfill', 'once', ...day);
  await waitFor(async () => (await statusOf(once)) === 'completed');
  const sink = await stores.migration.connect();
  sink.on('error', () => undefined);
  await sink.query('BEGIN; LOCK TABLE shop.k');
  const atWork = await world.start('redrive', { instance, keys: ['3'] });
  await waitFor(async () => (await statusOf(`${instance}/redrive-2`)) === 'running');
  await restore();
  sink.release(true);
  overtaken = await failureOf(atWork);
  await allowBad();
}

test('a redrive that the ledger has lost ends, and says how to redrive again', () => {
  expect(overtaken).toMatchObject({
    type: 'LedgerBehind',
    message: expect.stringContaining('redrive') as string,
  });
});

test('what was waived or redriven is open again, and is waived or redriven again', async () => {
  expect(await json('skips', instance, 'list')).toMatchObject({ open: 3, waived: 0, redriven: 0 });
  expect(await json('skips', instance, 'waive', '--key', '1', '--reason', 'again')).toMatchObject({
    waived: 1,
  });
  // Temporal has a run of that name, which the ledger does not know.
  expect(await json('skips', instance, 'redrive', '--key', '2', '--watch')).toMatchObject({
    ...{ instance: `${instance}/redrive-1`, status: 'completed' },
  });
  expect(await json('skips', instance, 'list')).toMatchObject({ open: 1, waived: 1, redriven: 1 });
  expect(await rowsOf(stores.migration)).toContain('{"id": 2, "note": "bad"}');
});

test('a backfill does not run again what must not be restarted, and says why', async () => {
  expect(await statusOf(once)).toBeUndefined();
  await told('schedule', 'backfill', 'once', ...day);
  const refused = await waitFor(async () => {
    const query = `WorkflowType = 'scheduledJob' AND ExecutionStatus = 'Failed'`;
    for await (const { workflowId, runId } of world.client.workflow.list({ query }))
      return world.client.workflow.getHandle(workflowId, runId);
    return undefined;
  });
  expect(await failureOf(refused)).toMatchObject({
    type: 'JobRestartRefused',
    message: expect.stringContaining('the ledger has lost that') as string,
  });
  expect(await statusOf(once)).toBeUndefined();
  expect(
    await failureOf(await world.start('fixtureOnce', { run: 'backfilled', date: '2025-10-01', items: 0 })),
  ).toMatchObject({ type: 'JobRestartRefused' });
});

test('a stream is rewound from where it stands now, and what was lost is copied again', async () => {
  const stream = 'tableSync:shop.k>shop.k:id';
  expect(await json('sync', 'rewind', stream, '--to-start')).toMatchObject({ before: ['10'], cursor: null });
  expect(readBy(await sync(2))).toEqual([20, 0]);
  expect(await rowsOf(stores.migration)).toEqual(await rowsOf(stores.service));
});

test('a prune gives up what has completed there, and nothing runs again for it', async () => {
  expect(await json('prune', '--older-than', '1s', '--keep', '0', '--open-skips')).toMatchObject({
    skips: 3,
  });
  const again = await failureOf(
    await world.start('tableSync', { source: 'shop.k', mode: 'incrementing', partitions: 1, run: 1 }),
  );
  expect(again).toMatchObject({ type: 'JobInstanceAlreadyComplete' });
  expect(readBy(await sync(3))).toEqual([0, 0]);
});
