import type { WorkflowHandle } from '@temporalio/client';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EnteredChange, readAudit } from '../../packages/keystride/src/ledger/audit.ts';
import { Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { noticeChanges } from '../../packages/keystride/src/operator/notice.ts';
import { loadConfig } from '../../packages/keystride/src/settings/config.ts';
import { keystride } from '../cli/support.ts';
import { endingOf, fails, Fixture, instanceOf } from '../conformance/fixture.ts';
import { until } from '../support/runs.ts';
import { waitFor } from '../support/stack.ts';

/** What people ask of runs is in the ledger: who, from where, why, and what it has changed. */
let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open();
});

afterAll(() => fixture?.close());

/** The entries about an instance, oldest first. */
async function entriesOf(run: string, job = 'fixture'): Promise<EnteredChange[]> {
  const filter = { ids: [instanceOf(run, job)] };
  return (await readAudit(new Ledger(fixture.pool), filter, { limit: 100 })).toReversed();
}

function entered(run: string, count: number): Promise<EnteredChange[]> {
  return waitFor(
    async () => {
      const entries = await entriesOf(run);
      return entries.length >= count && entries;
    },
    { what: `${count} entries about ${run}` },
  );
}

async function command(...words: string[]): Promise<void> {
  const { exitCode, stderr } = await keystride(words, fixture.world.environment);
  expect(exitCode, stderr).toBe(0);
}

/** A run that has its first item in hand and goes no further; then it takes so long that a control comes in time. */
async function heldRun(run: string, items = 500): Promise<WorkflowHandle> {
  await fixture.hold(run, 1);
  const handle = await fixture.start(
    run,
    { heldInProcessor: [1], items, itemMilliseconds: 40 },
    { workflowId: instanceOf(run) },
  );
  await fixture.reached(run, 'process', 1);
  return handle;
}

test('every control is entered once, with its sender, reason, before and after', async () => {
  const run = 'controls';
  const handle = await heldRun(run);
  const id = instanceOf(run);
  await command('tune', id, '--concurrency', '3', '--operator', 'anna', '--reason', 'the API has room');
  await handle.executeUpdate('tune', { args: [{ concurrency: 5, rowsPerSecond: 100 }] });
  await handle.executeUpdate('pause', { args: [{ reason: 'lunch' }] });
  await fixture.release(run);
  await until(fixture.world, id, 'paused');
  await command('resume', id, '--operator', 'ben');
  expect((await endingOf(handle)).status).toBe('completed');

  const bare = { from: 'temporal', operator: fixture.world.client.options.identity };
  const of = { job: 'fixture', instance: id, workflowId: id, runId: expect.any(String) as string };
  expect(await entriesOf(run)).toMatchObject([
    { ...bare, ...of, action: 'start', reason: null, before: {}, after: { status: 'running' } },
    {
      ...of,
      ...{ action: 'tune', operator: 'anna', from: 'command', reason: 'the API has room' },
      ...{ before: { tuning: {} }, after: { tuning: { concurrency: 3 } } },
    },
    {
      ...{ ...bare, ...of, action: 'tune', reason: null, before: { tuning: { concurrency: 3 } } },
      after: { tuning: { concurrency: 5, rowsPerSecond: 100 } },
    },
    {
      ...bare,
      action: 'pause',
      reason: 'lunch',
      before: { status: 'running' },
      after: { status: 'pausing' },
    },
    {
      ...{ action: 'resume', operator: 'ben', from: 'command', reason: null },
      ...{ before: { status: 'paused' }, after: { status: 'running' } },
    },
  ]);
});

test('what is refused is no entry', async () => {
  const run = 'refused';
  const handle = await heldRun(run, 2);
  const refused = (name: string, request: unknown) =>
    expect(handle.executeUpdate(name, { args: [request] })).rejects.toMatchObject({
      cause: { type: 'ControlRefused' },
    });
  await refused('resume', {});
  await refused('pause', { by: { operator: 'anna', from: 'the cellar' } });
  await refused('pause', { by: { operator: 'a'.repeat(201), from: 'command' } });
  await refused('pause', { by: 'anna' });
  await refused('tune', { by: { operator: 'anna', from: 'command' } });
  await fixture.release(run);
  await endingOf(handle);
  expect((await entriesOf(run)).map(({ action }) => action)).toEqual(['start']);
});

test('a control holds while the ledger takes no entries; they follow, and the run waits for them', async () => {
  const run = 'away';
  const handle = await heldRun(run);
  const locker = new pg.Client({ connectionString: fixture.world.databaseUrl });
  await locker.connect();
  try {
    await locker.query('begin; lock table keystride.audit in access exclusive mode');
    expect(await handle.executeUpdate('pause', { args: [{ reason: 'at once' }] })).toEqual({
      status: 'pausing',
    });
    await fixture.release(run);
    await until(fixture.world, instanceOf(run), 'paused');
    await handle.executeUpdate('stop', { args: [{ reason: 'enough' }] });
    const stopped = await until(fixture.world, instanceOf(run), 'stopped');
    expect(stopped.reason).toBe('enough');
    expect((await handle.describe()).status.name).toBe('RUNNING');
    await locker.query('rollback');
  } finally {
    await locker.end();
  }
  expect((await endingOf(handle)).status).toBe('stopped');
  expect((await entriesOf(run)).map(({ action, reason }) => [action, reason])).toEqual([
    ['start', null],
    ['pause', 'at once'],
    ['stop', 'enough'],
  ]);
});

test('a cancellation is entered, with whom Temporal knows as its sender', async () => {
  const handle = await heldRun('cancelled');
  await handle.cancel();
  await until(fixture.world, instanceOf('cancelled'), 'stopping');
  await fixture.release('cancelled');
  await expect(handle.result()).rejects.toThrow();
  const [, cancelled] = await entered('cancelled', 2);
  expect(cancelled).toMatchObject({
    ...{ action: 'cancel', from: 'temporal', operator: fixture.world.client.options.identity },
    ...{ before: { status: 'running' }, after: { status: 'stopping' } },
  });
});

test('what is done to a parent is entered once: its nested job comes to rest with it', async () => {
  const run = 'parent';
  await fixture.hold(run, 1);
  const told = { flow: 'nested', heldInProcessor: [1], items: 500 };
  const parent = await fixture.start(run, told, {
    job: 'fixtureFlow',
    workflowId: instanceOf(run, 'fixtureFlow'),
  });
  await fixture.reached(run, 'process', 1);
  await parent.executeUpdate('pause', { args: [{}] });
  await fixture.release(run);
  await until(fixture.world, instanceOf(run, 'fixtureFlow'), 'paused');
  await parent.executeUpdate('stop', { args: [{}] });
  expect((await endingOf(parent)).status).toBe('stopped');
  const actions = (await entriesOf(run, 'fixtureFlow')).map(({ action }) => action);
  expect(actions).toEqual(['start', 'pause', 'stop']);
  expect(await entriesOf(run)).toEqual([]);
});

test('a start names who has made it, and one after a failure what it goes on from', async () => {
  const run = 'again';
  await fixture.run(run, { faults: [fails('process', 2)], skipLimit: 0, skipPolicy: 'none', skipCodes: [] });
  await fixture.run(run);
  const entries = await entriesOf(run);
  expect(entries.map(({ action, from, operator, before }) => [action, from, operator, before])).toEqual([
    ['start', 'temporal', fixture.world.client.options.identity, {}],
    ['start', 'temporal', fixture.world.client.options.identity, { status: 'failed' }],
  ]);
  await command('start', 'evenNumbers', '--operator', 'anna', '--reason', 'a trial', '--watch');
  const [first] = await readAudit(new Ledger(fixture.pool), { operator: 'anna' }, { limit: 1 });
  expect(first).toMatchObject({ action: 'start', from: 'command', reason: 'a trial', job: 'evenNumbers' });
});

test('keystride audit shows it, and nothing of it is obeyed by a terminal', async () => {
  const run = 'shown';
  const handle = await heldRun(run);
  const evil = '\u001B[31mred\u001B[0m\nforged  root (command)  stop';
  await handle.executeUpdate('pause', {
    args: [{ reason: evil, by: { operator: `eve\u001B[2J`, from: 'console' } }],
  });
  await entered(run, 2);
  await handle.executeUpdate('stop', { args: [{}] });
  await fixture.release(run);
  await endingOf(handle);
  const { stdout } = await keystride(['audit', instanceOf(run)], fixture.world.environment);
  expect(stdout).not.toContain('\u001B');
  expect(stdout.split('\n').filter((line) => line.includes('forged'))).toHaveLength(1);
  expect(stdout).toMatch(/eve \[2J \(console\) {2}pause {2}fixture:run=shown/u);
  const found = await keystride(
    ['audit', '--what', 'stop', '--since', '1h', '-o', 'json'],
    fixture.world.environment,
  );
  expect((found.json() as EnteredChange[])[0]).toMatchObject({ action: 'stop', instance: instanceOf(run) });
});

test('what is done by means of Temporal alone is entered when somebody looks, once', async () => {
  const { client } = fixture.world;
  const id = 'evenNumbers:terminated';
  const handle = await client.workflow.start('evenNumbers', { workflowId: id, taskQueue: 'nobody' });
  await handle.terminate('it was in the way');
  const create = ['schedule', 'create', 'evenNumbers', '--cron', '0 3 * * *', '--id', 'nightly'];
  await command(...create, '--operator', 'anna');
  const schedule = client.schedule.getHandle('nightly');
  await schedule.pause('not this week');
  await schedule.update((found) => ({ ...found, spec: { ...found.spec, timezone: 'Asia/Seoul' } }));
  Object.assign(process.env, fixture.world.environment);
  const session = { client, config: loadConfig(fixture.world.environment, ['temporal']) };
  const look = async (): Promise<EnteredChange[]> => {
    await noticeChanges(session);
    return readAudit(new Ledger(fixture.pool), { ids: [id, 'nightly'] }, { limit: 100 });
  };
  // Temporal's lists come a moment after its histories.
  const found = await waitFor(async () => {
    const entries = await look();
    return entries.length >= 4 && entries;
  });
  const by = (action: string) => found.filter((entry) => entry.action === action);
  expect(by('terminate')).toMatchObject([
    { from: 'temporal', operator: client.options.identity, reason: 'it was in the way', job: 'evenNumbers' },
  ]);
  const unknown = { from: 'temporal', operator: 'unknown', subject: 'nightly', job: 'evenNumbers' };
  expect(by('schedule pause')).toMatchObject([
    { ...unknown, reason: 'not this week', after: { paused: true } },
  ]);
  expect(by('schedule update')).toMatchObject([{ ...unknown, after: { timeZone: 'Asia/Seoul' } }]);
  expect(by('schedule create')).toMatchObject([{ from: 'command', operator: 'anna' }]);
  await schedule.delete();
  const gone = await look();
  expect(gone.map(({ action }) => action).toSorted()).toEqual(
    [...found.map(({ action }) => action), 'schedule delete'].toSorted(),
  );
  expect(await look()).toEqual(gone);
});
