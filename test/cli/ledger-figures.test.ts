import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';
import { keystride } from './support.ts';

/** What is shown of a run that could not tell its figures itself. */
let world: World;
let ledger: pg.Client;

beforeAll(async () => {
  world = await createWorld({ legacyApi: ['--latency=300', '--override=T-0000001=404'] });
  ledger = new pg.Client({ connectionString: world.databaseUrl });
  await ledger.connect();
  await world.startWorker();
});

afterAll(async () => {
  await ledger?.end();
  await world?.dispose();
});

interface Figures {
  read: number;
  written: number;
  skipped: number;
}

async function committed(instance: string): Promise<Figures> {
  const { rows } = await ledger.query<Figures>(
    `select coalesce(sum(read), 0)::int as read, coalesce(sum(written), 0)::int as written,
            coalesce(sum(skipped), 0)::int as skipped from keystride.checkpoint where instance_key = $1`,
    [instance],
  );
  return rows[0] as Figures;
}

type Status = JobProgress & { figures?: { from: string; note: string | null } };

async function statusOf(id: string, environment: NodeJS.ProcessEnv = {}): Promise<Status> {
  return (
    await keystride(['status', id, '-o', 'json'], { ...world.environment, ...environment })
  ).json() as Status;
}

async function listed(id: string): Promise<object | undefined> {
  const runs = (await keystride(['list', '-o', 'json'], world.environment)).json() as {
    workflowId: string;
  }[];
  return runs.find(({ workflowId }) => workflowId === id);
}

test('a run that fails early shows what has committed: in its report, the UI, status and list', async () => {
  // More refused ones than may be skipped, in the last of four partitions; two among those that commit.
  await ledger.query(
    `insert into orders (customer_id, amount, status, delivered_at)
     select i, case when i in (5, 6) or i > 9800 then -1 else 100 end, 'DELIVERED', '2025-01-01'
       from generate_series(1, 10000) i`,
  );
  const id = 'purchaseConfirmation:deliveredBefore=2025-10-01';
  const words = ['start', 'purchaseConfirmation', '--param', 'deliveredBefore=2025-10-01', '--watch'];
  const failed = await keystride([...words, '-o', 'json'], world.environment);
  expect(failed.exitCode, failed.stdout).toBe(1);
  const figures = await committed(id);
  expect(figures.written).toBeGreaterThan(0);
  expect(figures.skipped).toBe(2);
  expect(await world.progress(id)).toMatchObject({ status: 'failed', steps: [figures] });
  const { currentDetails } = await world.client.workflow
    .getHandle(id)
    .query<{ currentDetails: string }>('__temporal_workflow_metadata');
  expect(currentDetails).toContain(`written ${figures.written.toLocaleString('en')}`);
  expect(await statusOf(id)).toMatchObject({ status: 'failed', steps: [figures] });
  const { stdout } = await keystride(['status', id], world.environment);
  expect(stdout).toContain(`skips ${id} list`);
  await waitFor(async () => (await listed(id)) !== undefined);
  const { startedAt, finishedAt } = await statusOf(id);
  expect(await listed(id)).toMatchObject({
    ...{ status: 'failed', written: figures.written, skipped: 2 },
    ...{ startedAt, finishedAt },
  });
});

test('a run that was terminated shows them too, with a worker and without, and what can be done', async () => {
  const id = 'documentMigration:run=1';
  await keystride(['demo-data', 'documents', '--count', '400'], world.environment);
  await keystride(['start', 'targetSync', '--watch'], world.environment);
  await keystride(['start', 'documentMigration', '--param', 'inFlight=20'], world.environment);
  await waitFor(async () => (await committed(id)).written > 0);
  await world.client.workflow.getHandle(id).terminate('enough');
  // The page of the dead run would go on for a while.
  await world.workers[0]?.kill();
  const figures = await committed(id);
  const worker = await world.startWorker();
  const shown = { status: 'failed', reason: 'terminated: enough', figures: { from: 'ledger', note: null } };
  expect(await statusOf(id)).toMatchObject({ ...shown, steps: [{ step: 'fetchAndStore', ...figures }] });
  await worker.stop();
  expect(await statusOf(id)).toMatchObject({
    ...{ ...shown, instance: id, parameters: { run: 1, inFlight: 20 } },
    steps: [{ step: 'fetchAndStore', kind: 'chunk', ...figures }],
  });
  expect(await listed(id)).toMatchObject({ written: figures.written, skipped: figures.skipped });
  const { stdout } = await keystride(['status', id], world.environment);
  expect(stdout).toContain("figures are the ledger's");
  expect(stdout).toContain('start documentMigration --param inFlight=20');
});

test('a run that no worker answers for shows them, and says whose they are', async () => {
  const id = 'documentMigration:run=1';
  await keystride(['start', 'documentMigration', '--param', 'inFlight=20'], world.environment);
  const figures = await committed(id);
  expect(await statusOf(id)).toMatchObject({
    status: 'starting',
    figures: { from: 'ledger' },
    steps: [{ step: 'fetchAndStore', ...figures }],
  });
});

test('without the ledger everything else is shown, and that the figures may be old', async () => {
  const id = 'documentMigration:run=1';
  const DATABASE_URL = 'postgres://nobody:s3cret@127.0.0.1:1/nowhere';
  const status = await statusOf(id, { DATABASE_URL });
  expect(status).toMatchObject({ status: 'starting', figures: { from: 'unread' } });
  expect(JSON.stringify(status)).not.toContain('s3cret');
});
