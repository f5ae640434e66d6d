import { userInfo } from 'node:os';
import { parse } from 'csv-parse/sync';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EnteredChange } from '../../packages/keystride/src/ledger/audit.ts';
import { keystride } from '../cli/support.ts';
import {
  addTargets,
  configureLegacyApi,
  expectMigrated,
  openStores,
  ticketKey,
  type Stores,
} from '../support/migration.ts';
import { control, reportOf, run, until } from '../support/runs.ts';
import { createWorld, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

/** One story: 12 skips of two causes, of which some are waived, some redriven. */
beforeAll(async () => {
  world = await createWorld({ legacyApi: ['--latency=10'] });
  stores = openStores(world);
  await world.startWorker();
  await addTargets(stores, 60);
  const overrides: Record<string, string> = { [ticketKey(20)]: '400', [ticketKey(21)]: '400' };
  for (let number = 1; number <= 10; number++) overrides[ticketKey(number)] = '404';
  await configureLegacyApi(world, { overrides });
  await run(world, 'documentMigration', { inFlight: 5 });
  await configureLegacyApi(world, { overrides: {} });
}, 90_000);

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

const instance = 'documentMigration:run=1';

function skips(...words: string[]) {
  return keystride(['skips', instance, ...words], world.environment);
}

async function json(...words: string[]): Promise<unknown> {
  return (await skips(...words, '-o', 'json')).json();
}

async function causeOf(code: string): Promise<string> {
  const { causes } = (await json('list')) as { causes: { code: string; fingerprint: string }[] };
  return causes.find((cause) => cause.code === code)?.fingerprint ?? '';
}

test('list counts what is open, by cause', async () => {
  expect(await json('list', '--limit', '1')).toMatchObject({
    instance,
    total: 12,
    open: 12,
    redriven: 0,
    waived: 0,
    causes: [
      { code: 'NOT_FOUND', count: 10, open: 10 },
      { code: 'BAD_REQUEST', count: 2, open: 2 },
    ],
    skips: [{ status: 'open' }],
  });
});

test('waive wants a reason, keys that were skipped, and records who waived why', async () => {
  expect((await skips('waive')).exitCode).toBe(2);
  expect(await json('waive', '--reason', 'x', '--key', '1', '--key', '999')).toMatchObject({
    error: { type: 'NotFound', message: expect.stringContaining('999') as string },
  });
  const withdrawn = { reason: 'withdrawn by its author', operator: 'kim' };
  const words = ['waive', '--key', '1', '2', '--reason', withdrawn.reason, '--operator', 'kim'];
  expect(await json(...words)).toEqual({ instance, waived: 2, alreadyWaived: 0, ...withdrawn });
  expect(await json(...words), 'again').toMatchObject({ waived: 0, alreadyWaived: 2 });
  const { rows } = await stores.migration.query(
    `SELECT item_key, reason, settled_by FROM keystride.skip WHERE status = 'waived' ORDER BY 1`,
  );
  expect(rows).toEqual(
    ['1', '2'].map((item_key) => ({ item_key, reason: withdrawn.reason, settled_by: 'kim' })),
  );
}, 60_000);

test('redrive of one cause closes that cause alone; what was waived is left alone', async () => {
  const fingerprint = await causeOf('BAD_REQUEST');
  const ended = await skips('redrive', '--fingerprint', fingerprint, '--watch', '-o', 'json');
  expect(ended.exitCode, ended.stderr).toBe(0);
  expect(ended.json()).toMatchObject({ status: 'completed', steps: [{ read: 2, written: 2 }] });
  expect(await json('list')).toMatchObject({ total: 12, open: 8, redriven: 2, waived: 2 });
  expect(await json('redrive', '--fingerprint', fingerprint)).toMatchObject({
    error: { type: 'NothingToRedrive' },
  });
  expect(await json('waive', '--reason', 'x', '--fingerprint', fingerprint)).toMatchObject({
    error: { type: 'NothingToWaive' },
  });
}, 60_000);

test('while a redrive runs, another one and a waiver are refused, naming it', async () => {
  await configureLegacyApi(world, { latency: 10_000 });
  const started = (await json('redrive')) as { workflowId: string; items: number };
  expect(started).toMatchObject({ workflowId: `${instance}/redrive-2`, redrives: instance, items: 8 });
  // Held, so that it does not end meanwhile.
  const handle = world.client.workflow.getHandle(started.workflowId);
  await control(handle, 'pause');
  for (const words of [['redrive'], ['waive', '--reason', 'x']]) {
    expect(await json(...words)).toMatchObject({
      error: { type: 'JobExecutionAlreadyRunning' },
      workflowId: started.workflowId,
    });
  }
  await until(world, started.workflowId, 'paused');
  await configureLegacyApi(world, { latency: 10 });
  await control(handle, 'resume');
  expect(await reportOf(handle)).toMatchObject({ status: 'completed' });
  await expectMigrated(stores, { documents: 60, expectedFaults: { 1: 1, 2: 1 } });
  // Asked for under the redrive's own id, it is the instance's skips that are shown.
  const { stdout } = await keystride(['skips', started.workflowId, '-o', 'json'], world.environment);
  expect(JSON.parse(stdout)).toMatchObject({ instance, open: 0, redriven: 10, waived: 2 });
  expect(await json('redrive')).toMatchObject({ error: { type: 'NothingToRedrive' } });
  const status = await keystride(['status', started.workflowId], world.environment);
  expect(status.stdout).toContain(`keystride verify ${instance}`);
}, 90_000);

test('each redrive and waiver is in the audit, refused ones are not', async () => {
  const { json: entries } = await keystride(['audit', instance, '-o', 'json'], world.environment);
  const told = (entries() as EnteredChange[])
    .filter(({ action }) => action.startsWith('skips'))
    .map(({ action, operator, reason, after }) => ({ action, operator, reason, after }));
  const me = userInfo().username;
  expect(told).toMatchObject([
    { action: 'skips redrive', operator: me, reason: null, after: { skips: 8 } },
    { action: 'skips redrive', operator: me, after: { skips: 2 } },
    {
      action: 'skips waive',
      operator: 'kim',
      reason: 'withdrawn by its author',
      after: { waived: 2, keys: 2 },
    },
  ]);
});

test('export writes every skip, as CSV or as lines of JSON; hostile text harms nobody', async () => {
  const hostile = '=HYPERLINK("http://evil.example"),\n"x"';
  await stores.migration.query(`UPDATE keystride.skip SET message = $1 WHERE item_key = '20'`, [hostile]);
  await stores.migration.query(
    `INSERT INTO keystride.skip (instance_key, step, item_key, phase, code, fingerprint, message, partition)
     SELECT $1, 'fetchAndStore', 'made ' || n, 'process', 'MADE', 'made', 'for the test', 0
       FROM generate_series(1, 2500) AS n`,
    [instance],
  );
  const { stdout } = await skips('export');
  const rows = parse(stdout, { columns: true }) as unknown as Record<string, string>[];
  expect(rows).toHaveLength(2512);
  expect(rows.find(({ key }) => key === '20')).toMatchObject({
    instance,
    message: `'${hostile}`,
    status: 'redriven',
    settledBy: `${instance}/redrive-1`,
  });
  const lines = (await skips('export', '--status', 'waived', '-o', 'json')).stdout.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { key: '1', settledBy: 'kim', reason: 'withdrawn by its author' },
    { key: '2', settledBy: 'kim' },
  ]);
});

test('an option of another action is a mistake', async () => {
  const { exitCode, stderr } = await skips('redrive', '--status', 'waived');
  expect(exitCode).toBe(2);
  expect(stderr).toContain('skips redrive takes no --status');
});
