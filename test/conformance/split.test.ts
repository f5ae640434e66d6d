import { setTimeout as delay } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { messages } from '../../packages/keystride/src/contract/messages.ts';
import { waitFor } from '../support/stack.ts';
import { endingOf, Fixture, instanceOf, type Told, upTo } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open();
});

afterAll(() => fixture?.close());

const table = { job: 'fixtureTable' };

/** Those that lose a worker wait for its heartbeat to be missed. */
const slow = 90_000;

interface PartitionRow {
  readonly partition: number;
  readonly lower: string | null;
  readonly upper: string;
  readonly read: number;
  readonly done: boolean;
}

/** The partitions of a run in the order of their keys. */
async function partitionsOf(run: string): Promise<PartitionRow[]> {
  const { rows } = await fixture.pool.query<PartitionRow>(
    `SELECT partition, lower::json->>0 AS lower, upper::json->>0 AS upper, read::int, done
       FROM keystride.checkpoint WHERE instance_key = $1 ORDER BY (upper::json->>0)::bigint`,
    [instanceOf(run, table.job)],
  );
  return rows;
}

/** The last key of the partition that turns out to be long, as it was planned. */
const longUpTo = 10_000;

/** How many rows come into it. */
const cameLater = 160;

/**
 * Lets a run that was held go on: to the last key of the long partition, or through it. While that is held the run does
 * not end, however slow whoever watches it is.
 */
async function letGo(run: string, upToKey = longUpTo): Promise<void> {
  await fixture.pool.query('DELETE FROM fixture_hold WHERE run = $1 AND item <= $2', [run, upToKey]);
}

/**
 * Begins a run over four partitions of ten rows each, the keys a thousand apart, and holds it. Then rows come into the
 * first partition, further on than it has read ahead, that nobody could know of when it was planned.
 *
 * @returns the keys that are there.
 */
async function heldSkewed(run: string, told: Told = {}): Promise<[WorkflowHandle, number[]]> {
  const keys = upTo(40).map((n) => n * 1000);
  await fixture.pool.query('TRUNCATE migration_target CASCADE');
  await insert(keys);
  for (const key of [1000, longUpTo]) await fixture.hold(run, key);
  const script = {
    partitions: 4,
    splitAfterSeconds: 0.5,
    itemMilliseconds: 25,
    heldInProcessor: [1000, longUpTo],
  };
  const handle = await fixture.start(run, { ...script, ...told }, table);
  await fixture.reached(run, 'process', 1000);
  const added = upTo(cameLater).map((n) => longUpTo - 1000 + n);
  await insert(added);
  return [handle, [...keys, ...added].toSorted((a, b) => a - b)];
}

/** All partitions but the one that is held have processed what they have. */
async function othersProcessed(run: string): Promise<void> {
  await waitFor(async () => Object.keys(await fixture.calls(run, 'process')).length >= 31, {
    what: `the other partitions of ${run}`,
  });
}

/** The same, with the first partition let go when slots are about to fall idle: it takes some seconds for all of it. */
async function startedSkewed(run: string, told: Told = {}): Promise<[WorkflowHandle, number[]]> {
  const started = await heldSkewed(run, told);
  await othersProcessed(run);
  await letGo(run, 1000);
  return started;
}

async function insert(keys: readonly number[]): Promise<void> {
  await fixture.pool.query(
    `INSERT INTO migration_target (id, ticket_key) OVERRIDING SYSTEM VALUE
     SELECT id, 'T-' || id FROM unnest($1::int[]) AS id`,
    [keys],
  );
}

/** The first partition has been cut. */
async function hasSplit(run: string): Promise<PartitionRow[]> {
  return waitFor(
    async () => {
      const rows = await partitionsOf(run);
      return rows.length > 4 ? rows : undefined;
    },
    { what: `a partition of ${run} to be split` },
  );
}

/** Each range begins where the one before ended, and every row is there once. */
async function expectWhole(run: string, keys: readonly number[]): Promise<PartitionRow[]> {
  const rows = await partitionsOf(run);
  expect(rows.map(({ lower }) => lower)).toEqual([null, ...rows.slice(0, -1).map(({ upper }) => upper)]);
  expect(rows.at(-1)?.upper).toBe('40000');
  expect(rows.every(({ done }) => done)).toBe(true);
  const count = keys.length;
  expect(await fixture.effects(run, table)).toMatchObject({
    read: count,
    writtenCount: count,
    written: keys,
  });
  return rows;
}

/** The ids of the children that a run has started. */
async function childrenOf(handle: WorkflowHandle): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(
    ({ startChildWorkflowExecutionInitiatedEventAttributes: started }) => started?.workflowId ?? [],
  );
}

test('48: rows of one partition turn out to be many → it is split while running, for the slots that are idle', async () => {
  const [handle, keys] = await startedSkewed('skewed');
  await hasSplit('skewed');
  await letGo('skewed');
  const { status, report } = await endingOf(handle);
  expect(status).toBe('completed');
  const rows = await expectWhole('skewed', keys);
  const long = rows.filter(({ upper }) => Number(upper) <= longUpTo);
  expect(long.length).toBeGreaterThan(1);
  for (const { partition, read } of long) expect(read, `rows of partition ${partition}`).toBeGreaterThan(0);
  expect(Math.max(...long.map(({ read }) => read))).toBeLessThan(cameLater);
  const { total, done } = report?.steps[0]?.partitions ?? {};
  expect({ total, done }).toEqual({ total: rows.length, done: rows.length });
  const children = await childrenOf(handle);
  for (const { partition } of rows) expect(children).toContain(`${handle.workflowId}/items/p${partition}`);
});

test(
  '48: a worker is killed as soon as a partition is split → nothing is lost or doubled',
  { timeout: slow },
  async () => {
    const [handle, keys] = await startedSkewed('killed');
    await hasSplit('killed');
    const alive = fixture.world.workers.at(-1);
    await Promise.all([alive?.kill(), fixture.world.startWorker()]);
    await letGo('killed');
    expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
    await expectWhole('killed', keys);
  },
);

test('48: stopped after a split → the next start keeps the ranges', async () => {
  const [handle, keys] = await startedSkewed('stopped');
  const before = await hasSplit('stopped');
  await handle.executeUpdate(messages.stop, { args: [{}] });
  expect(await endingOf(handle)).toMatchObject({ status: 'stopped' });
  await letGo('stopped');
  const again = await fixture.run('stopped', { partitions: 7, splitAfterSeconds: 0 }, table);
  expect(again.status).toBe('completed');
  const after = await expectWhole('stopped', keys);
  const cuts = (rows: readonly PartitionRow[]) => rows.map(({ upper }) => upper);
  expect(cuts(after)).toEqual(expect.arrayContaining(cuts(before)));
});

test(
  '48: paused, resumed and tuned around splits → nothing is lost or doubled',
  { timeout: slow },
  async () => {
    const [handle, keys] = await startedSkewed('paused');
    await hasSplit('paused');
    for (const partitions of [2, 6]) {
      await handle.executeUpdate(messages.pause, { args: [{ reason: 'lunch' }] });
      await handle.executeUpdate(messages.resume);
      await handle.executeUpdate(messages.tune, { args: [{ partitions }] });
    }
    await letGo('paused');
    expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
    await expectWhole('paused', keys);
  },
);

test(
  '48: reset to a moment before a split → the run finds the partition in the ledger',
  { timeout: slow },
  async () => {
    const [handle, keys] = await startedSkewed('reset');
    await hasSplit('reset');
    const events = (await handle.fetchHistory()).events ?? [];
    const started = events.filter((event) => event.childWorkflowExecutionStartedEventAttributes);
    // Its four partitions run by then, and it has heard so.
    const heard = events
      .filter((event) => event.workflowTaskCompletedEventAttributes)
      .find((event) => Number(event.eventId) > Number(started[3]?.eventId));
    const { client, namespace } = fixture.world;
    const { runId } = await client.workflowService.resetWorkflowExecution({
      namespace,
      workflowExecution: { workflowId: handle.workflowId },
      reason: 'as told',
      requestId: handle.workflowId,
      workflowTaskFinishEventId: heard?.eventId ?? null,
    });
    await letGo('reset');
    expect(await endingOf(client.workflow.getHandle(handle.workflowId, runId))).toMatchObject({
      status: 'completed',
    });
    await expectWhole('reset', keys);
  },
);

/** The others have ended, and looks have been taken since. */
async function othersEnded(run: string): Promise<void> {
  await othersProcessed(run);
  await delay(1_500);
}

test('48: too little is left, or nothing is to be split → the ranges stay as they were planned', async () => {
  for (const [run, told] of [
    ['short', { chunkSize: Math.ceil(cameLater / 2) }],
    ['never', { splitAfterSeconds: 0 }],
  ] as const) {
    const [handle, keys] = await heldSkewed(run, told);
    await othersEnded(run);
    await letGo(run);
    expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
    const rows = await partitionsOf(run);
    expect(rows.map(({ upper }) => upper)).toEqual(['10000', '20000', '30000', '40000']);
    expect(await childrenOf(handle)).toHaveLength(4);
    // A chunk as long as the partition has read all of it before the rows came.
    if (run === 'never') await expectWhole(run, keys);
  }
});

test('48: a reader that cannot cut ranges → its partitions run to their ends', async () => {
  const script = {
    items: 80,
    partitions: 4,
    splitAfterSeconds: 0.3,
    itemMilliseconds: 5,
    heldInProcessor: [1],
  };
  await fixture.hold('list', 1);
  const handle = await fixture.start('list', script);
  await othersEnded('list');
  await fixture.release('list');
  expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
  expect(await fixture.effects('list')).toMatchObject({ read: 80, writtenCount: 80, written: upTo(80) });
  expect(await childrenOf(handle)).toHaveLength(4);
});
