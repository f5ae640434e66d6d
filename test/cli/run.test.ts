import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWorld, waitFor, type World } from '../support/stack.ts';
import { keystride, startKeystride, type CommandResult } from './support.ts';

/** One run of the main job, from its data to its verification, as a person at a terminal does it. */
let world: World;
const migration = 'documentMigration:run=1';

beforeAll(async () => {
  world = await createWorld({ legacyApi: ['--latency=1500', '--override=T-0000007=404'] });
  await world.startWorker();
});

afterAll(() => world?.dispose());

function run(...words: string[]): Promise<CommandResult> {
  return keystride([...words, '-o', 'json'], world.environment);
}

async function statusOf(id: string): Promise<string> {
  return ((await run('status', id)).json() as { status: string }).status;
}

test('data is made, and targetSync is watched to its end', async () => {
  expect((await run('demo-data', 'documents', '--count', '120')).json()).toEqual({
    documents: 120,
    targets: 120,
  });
  const synced = await run('start', 'targetSync', '--watch');
  expect(synced.exitCode).toBe(0);
  expect(synced.json()).toMatchObject({
    status: 'completed',
    steps: [{ step: 'begin' }, { step: 'copy', read: 120, written: 120 }, {}, {}],
  });
});

test('an instance that has completed is refused', async () => {
  const again = await run('start', 'targetSync');
  expect(again.exitCode).toBe(1);
  expect(again.json()).toMatchObject({
    error: { type: 'JobInstanceAlreadyComplete' },
    workflowId: 'targetSync:mode=bulk,run=1',
    runId: expect.any(String),
  });
});

test('an instance that runs is refused by name, under its own id and under another', async () => {
  const started = await run('start', 'documentMigration', '--param', 'inFlight=1');
  expect(started.exitCode).toBe(0);
  const { runId } = started.json() as { runId: string };
  expect(started.json()).toMatchObject({
    workflowId: migration,
    instance: migration,
    job: 'documentMigration',
  });
  const second = await run('start', 'documentMigration');
  expect(second.exitCode).toBe(1);
  expect(second.json()).toMatchObject({
    error: { type: 'JobExecutionAlreadyRunning' },
    workflowId: migration,
    runId,
  });
  const other = await run('start', 'documentMigration', '--id', 'another');
  expect(other.exitCode).toBe(1);
  expect(other.json()).toMatchObject({
    error: { type: 'JobExecutionAlreadyRunning', message: expect.stringContaining(migration) },
    workflowId: 'another',
  });
});

test('Ctrl-C while watching ends the watching, not the run', async () => {
  const { child, ended } = startKeystride(['status', migration, '--watch', '-o', 'json'], world.environment);
  await new Promise((resolve) => child.stderr?.once('data', resolve));
  child.kill('SIGINT');
  const { exitCode, stderr, json } = await ended;
  expect(exitCode).toBe(130);
  expect(stderr).toContain(`keystride status ${migration} --watch`);
  expect(json()).toMatchObject({ detached: true, status: 'running' });
});

test('pause, resume and stop answer with the state, and refuse what cannot be', async () => {
  expect((await run('resume', migration)).json()).toMatchObject({ error: { type: 'ControlRefused' } });
  expect((await run('pause', migration, '--reason', 'upgrade')).json()).toMatchObject({ status: 'pausing' });
  await waitFor(async () => (await statusOf(migration)) === 'paused');
  const paused = await keystride(['status', migration], world.environment);
  expect(paused.stdout).toContain('upgrade');
  expect((await run('resume', migration)).json()).toEqual({ workflowId: migration, status: 'running' });
  expect((await run('stop', migration)).json()).toMatchObject({ status: 'stopping' });
  const ended = await run('status', migration, '--watch');
  expect(ended).toMatchObject({ exitCode: 1 });
  expect(ended.json()).toMatchObject({ status: 'stopped' });
});

test('nothing more can be said to a run that has ended', async () => {
  const { exitCode, json } = await run('pause', migration);
  expect(exitCode).toBe(1);
  expect(json()).toMatchObject({ error: { message: expect.stringContaining('has ended') } });
});

test('a stopped run goes on; one with skips ends with 3, and the skips are listed by cause', async () => {
  const ended = await run('start', 'documentMigration', '--watch');
  expect(ended.exitCode).toBe(3);
  expect(ended.json()).toMatchObject({
    status: 'completedWithSkips',
    steps: [{ read: 120, skipped: 1 }, {}],
  });
  expect((await run('skips', migration, 'list')).json()).toMatchObject({
    instance: migration,
    total: 1,
    causes: [{ count: 1, fingerprint: expect.any(String) }],
    skips: [{ step: 'fetchAndStore', phase: 'process' }],
  });
});

test('verify agrees, and names what somebody has changed since', async () => {
  const agreed = await run('verify', migration);
  expect(agreed.exitCode).toBe(0);
  expect(agreed.json()).toMatchObject({ verified: true, differences: 0, instance: migration });
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  const changed = await client.query<{ id: string }>(
    `update public.preprocess_job job set sha256 = 'changed' from public.migration_target target
      where target.preprocess_id = job.id and target.ticket_key = 'T-0000011' returning target.id`,
  );
  await client.end();
  const differs = await run('verify', migration);
  expect(differs.exitCode).toBe(1);
  expect(differs.json()).toMatchObject({ verified: false, differences: 1 });
  expect(differs.stdout).toContain(`target ${changed.rows[0]?.id}:`);
});

test('list shows the runs, newest first, and filters', async () => {
  await waitFor(async () =>
    JSON.stringify((await run('list', '--status', 'completedWithSkips')).json()).includes(migration),
  );
  // The failed one is the start under another id.
  const all = (await run('list', '--job', 'documentMigration')).json() as {
    workflowId: string;
    status: string;
  }[];
  expect(all.map(({ status }) => status)).toEqual(
    ['completedWithSkips', 'stopped', 'failed'].filter(Boolean),
  );
});

test('a run that is not there is said to be not there', async () => {
  for (const words of [
    ['status', 'nope'],
    ['pause', 'nope'],
    ['verify', 'nope'],
    ['skips', 'nope', 'list'],
  ]) {
    const { exitCode, json } = await run(...words);
    expect(exitCode, words.join(' ')).toBe(1);
    expect(json()).toMatchObject({ error: { type: 'NotFound' }, workflowId: 'nope' });
  }
});

test('without a worker a start succeeds and says so, and status answers all the same', async () => {
  const environment = { ...world.environment, KEYSTRIDE_TASK_QUEUE: 'nobody-polls-this' };
  const words = ['start', 'targetSync', '--param', 'run=9', '-o', 'json'];
  const started = await keystride(words, environment);
  expect(started).toMatchObject({
    exitCode: 0,
    stderr: expect.stringContaining('no worker polls task queue'),
  });
  const { workflowId } = started.json() as { workflowId: string };
  expect(await statusOf(workflowId)).toBe('starting');
  await world.client.workflow.getHandle(workflowId).terminate('enough');
  await delay(100);
  expect((await run('status', workflowId)).json()).toMatchObject({
    status: 'failed',
    reason: 'terminated: enough',
  });
});
