import type { WorkflowHandle } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../support/stack.ts';
import { each, endingOf, fails, Fixture, instanceOf, upTo } from './fixture.ts';

let fixture: Fixture;

/** Two hundred partitions take their time: they begin with the others and are looked at last. */
let wide: WorkflowHandle;

beforeAll(async () => {
  fixture = await Fixture.open();
  wide = await fixture.start('wide', { items: 400, partitions: 200, window: 8 });
});

afterAll(() => fixture?.close());

interface PartitionRow {
  readonly partition: number;
  readonly lower: string | null;
  readonly upper: string | null;
  readonly seq: string;
  readonly done: boolean;
  readonly read: string;
  readonly updated_at: string;
}

async function partitionsOf(run: string, job = 'fixture'): Promise<PartitionRow[]> {
  const { rows } = await fixture.pool.query<PartitionRow>(
    `SELECT partition, lower, upper, seq, done, read, updated_at
       FROM keystride.checkpoint WHERE instance_key = $1 ORDER BY partition`,
    [instanceOf(run, job)],
  );
  return rows;
}

test('46: one of 4 partitions fails → others finish; restart runs only what is left; finished ones are not touched', async () => {
  const script = { items: 20, partitions: 4 };
  const failed = await fixture.run('four', { ...script, faults: [fails('write', 8, { error: 'other' })] });
  expect(failed.status).toBe('failed');
  expect(failed.message).toMatch(/partition 1: .*write of item 8 fails as told/u);
  expect(failed.message).not.toMatch(/partition [023]:/u);
  const before = await partitionsOf('four');
  expect(before.map(({ done }) => done)).toEqual([true, false, true, true]);
  expect((await fixture.effects('four')).written).toEqual([...upTo(7), ...upTo(20, 11)]);

  expect((await fixture.run('four', script)).status).toBe('completed');
  expect(await fixture.effects('four')).toMatchObject({ read: 20, writtenCount: 20, written: upTo(20) });
  const after = await partitionsOf('four');
  for (const partition of [0, 2, 3]) {
    const { seq, updated_at } = before[partition] ?? {};
    expect(after[partition], `partition ${partition}`).toMatchObject({ seq, updated_at });
  }
  expect(await fixture.calls('four', 'write')).toEqual({ ...each(upTo(20)), ...each([8, 9], 2) });
});

test('47: restart with another partitions setting → the ranges of the first run are kept', async () => {
  const faults = [fails('write', 8, { error: 'other' })];
  expect((await fixture.run('kept', { items: 20, partitions: 4, faults })).status).toBe('failed');
  const ranges = (rows: PartitionRow[]) => rows.map(({ lower, upper }) => [lower, upper]);
  const before = await partitionsOf('kept');
  expect(before).toHaveLength(4);
  expect((await fixture.run('kept', { items: 20, partitions: 7 })).status).toBe('completed');
  expect(ranges(await partitionsOf('kept'))).toEqual(ranges(before));
  expect(await fixture.effects('kept')).toMatchObject({ read: 20, writtenCount: 20, written: upTo(20) });
});

test.for([
  ['an empty list', 0],
  ['one item', 1],
  ['fewer items than partitions', 3],
] as const)('49: %s → completed, books balance', async ([, items]) => {
  const run = `list${items}`;
  const { status, report } = await fixture.run(run, { items, partitions: 8 });
  expect(status).toBe('completed');
  expect(report?.steps).toMatchObject([{ read: items, written: items, filtered: 0, skipped: 0 }]);
  expect(await fixture.effects(run)).toMatchObject({
    read: items,
    writtenCount: items,
    written: upTo(items),
  });
});

const table = { job: 'fixtureTable' };

/** Puts rows with these ids, and no others, into the table that `fixtureTable` reads. */
async function fill(ids: string): Promise<void> {
  await fixture.pool.query('TRUNCATE migration_target CASCADE');
  await fixture.pool.query(
    `INSERT INTO migration_target (id, ticket_key) OVERRIDING SYSTEM VALUE
     SELECT id, 'T-' || id FROM (${ids}) AS ids (id)`,
  );
  await fixture.pool.query('ANALYZE migration_target');
}

test.for([
  ['an empty table', 0],
  ['one row', 1],
  ['fewer rows than partitions', 3],
] as const)('49: %s → completed, books balance', async ([, rows]) => {
  const run = `table${rows}`;
  await fill(`SELECT generate_series(1, ${rows})`);
  const { status } = await fixture.run(run, { partitions: 8 }, table);
  expect(status).toBe('completed');
  expect(await fixture.effects(run, table)).toMatchObject({
    read: rows,
    writtenCount: rows,
    written: upTo(rows),
  });
});

test('48: skewed keys, 90 % of rows in 1 % of the key space → no partition has more than twice the mean', async () => {
  // 1,800 rows among the first 10,000 keys of a million, 200 among the others.
  await fill('SELECT 5 * generate_series(1, 1800) UNION ALL SELECT 10000 + 4950 * generate_series(1, 200)');
  const { status } = await fixture.run('skewed', { partitions: 8, chunkSize: 100 }, table);
  expect(status).toBe('completed');
  const rows = await partitionsOf('skewed', 'fixtureTable');
  const mean = 2_000 / rows.length;
  expect(rows.length).toBeGreaterThanOrEqual(8);
  for (const { partition, read } of rows)
    expect(Number(read), `rows of partition ${partition}`).toBeLessThanOrEqual(2 * mean);
  expect(await fixture.effects('skewed', table)).toMatchObject({ read: 2_000, writtenCount: 2_000 });
});

test('50: a partition child is terminated → the parent notices, reports and ends; it never waits for ever', async () => {
  await fixture.hold('ended', 8);
  const script = { items: 20, partitions: 4, heldInProcessor: [8] };
  const handle = await fixture.start('ended', script);
  await fixture.reached('ended', 'process', 8);
  await fixture.world.client.workflow.getHandle(`${handle.workflowId}/items/p1`).terminate('as told');
  const { status, message } = await endingOf(handle);
  expect(status).toBe('failed');
  expect(message).toMatch(/partition 1: .*terminated/iu);
  await fixture.release('ended');
  expect((await fixture.run('ended', script)).status).toBe('completed');
  expect(await fixture.effects('ended')).toMatchObject({ read: 20, writtenCount: 20, written: upTo(20) });
});

test('50: a partition child is cancelled → the parent opens it again', async () => {
  await fixture.hold('cancelled', 8);
  const handle = await fixture.start('cancelled', { items: 20, partitions: 4, heldInProcessor: [8] });
  await fixture.reached('cancelled', 'process', 8);
  await fixture.world.client.workflow.getHandle(`${handle.workflowId}/items/p1`).cancel();
  await fixture.release('cancelled');
  expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
  expect(await fixture.effects('cancelled')).toMatchObject({ read: 20, writtenCount: 20, written: upTo(20) });
});

test('50: a partition child times out → the parent notices, reports and ends', async () => {
  await fixture.hold('late', 8);
  const faults = [fails('page', 7, { times: 2 })];
  const handle = await fixture.start('late', { items: 20, partitions: 4, faults, heldInProcessor: [8] });
  const { client, namespace } = fixture.world;
  await waitFor(async () => (await fixture.calls('late', 'page'))[7] === 1, { what: 'the first attempt' });
  // From its next attempt on the page has one second, and that attempt is its last.
  await client.workflowService.updateActivityOptions({
    namespace,
    execution: { workflowId: `${handle.workflowId}/items/p1` },
    type: 'processPage',
    activityOptions: { startToCloseTimeout: msToTs('1 second'), retryPolicy: { maximumAttempts: 3 } },
    updateMask: { paths: ['start_to_close_timeout', 'retry_policy.maximum_attempts'] },
  });
  const { status, message } = await endingOf(handle);
  expect(status).toBe('failed');
  expect(message).toMatch(/partition 1: .*StartToClose timeout/iu);
  await fixture.release('late');
  expect((await fixture.run('late', { items: 20 })).status).toBe('completed');
  expect(await fixture.effects('late')).toMatchObject({ read: 20, writtenCount: 20, written: upTo(20) });
});

test('50: a partition child fails → the parent notices, reports and ends', async () => {
  const faults = [fails('process', 8, { error: 'programming' })];
  const { status, message } = await fixture.run('childfails', { items: 20, partitions: 4, faults });
  expect(status).toBe('failed');
  expect(message).toMatch(/partition 1: .*process of key 7.*TypeError/u);
});

test(
  '51: 200 partitions, window 8 → never more than 8 open; the history budget holds',
  { timeout: 90_000 },
  async () => {
    expect(await endingOf(wide)).toMatchObject({ status: 'completed' });
    expect(await partitionsOf('wide')).toHaveLength(200);
    expect(await fixture.effects('wide')).toMatchObject({ read: 400, writtenCount: 400, written: upTo(400) });
    const { events } = await wide.fetchHistory();
    let open = 0;
    let most = 0;
    for (const event of events ?? []) {
      if (event.startChildWorkflowExecutionInitiatedEventAttributes) most = Math.max(most, ++open);
      if (event.childWorkflowExecutionCompletedEventAttributes) open--;
    }
    expect(most).toBe(8);
    expect(open).toBe(0);
    // A child costs its parent its start, its end and the tasks that hear of them.
    expect(events?.length).toBeLessThan(200 * 9 + 100);
  },
);
