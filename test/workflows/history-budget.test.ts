import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { historiesOf, historyOf, msOf, pagesOf } from '../support/history.ts';
import { reportOf, stepOf } from '../support/runs.ts';
import { createWorld, testJobsWorker, type World } from '../support/stack.ts';

let world: World;

beforeAll(async () => {
  world = await createWorld({ workerProgram: testJobsWorker });
  await world.startWorker();
});

afterAll(() => world?.dispose());

/** What a run may leave, all workflows of it together, for a million rows where the database is the limit. */
const eventsPerMillion = 500;

/** Three of the activity, three of the workflow task that its end brings about. */
const eventsPerPage = 6;

test.concurrent('where the database is the limit: at most 500 events for a million rows', async () => {
  const orders = 200_000;
  await createDemoOrders({ databaseUrl: world.databaseUrl, count: orders, deliveredShare: 1 });
  const handle = await world.start('purchaseConfirmation', { deliveredBefore: '2025-10-01' });
  const report = await reportOf(handle);
  expect(stepOf(report, 'confirm')).toMatchObject({ written: orders, partitions: { total: 4, done: 4 } });
  const { events, workflows, bytes, actions } = await historyOf(world.client, handle.workflowId);
  const pages = (await historiesOf(world.client, handle.workflowId)).flatMap(pagesOf).length;
  // Opening and closing the job, its step and its partitions cost the same for any number of rows. Pages last as long as
  // there is work, so a million rows may need as many times more of them.
  const fixed = events - eventsPerPage * pages;
  const ofAMillion = fixed + eventsPerPage * pages * (1_000_000 / orders);
  console.log(
    `${orders} orders: ${events} events (${fixed} fixed) of ${workflows} workflows, ${bytes} bytes, ${actions} actions`,
  );
  expect([workflows, pages]).toEqual([5, expect.toSatisfy((count: number) => count >= 4)]);
  expect(ofAMillion).toBeLessThanOrEqual(eventsPerMillion);
});

test.concurrent('a run of ten items: at most 20 events, in two workflow tasks', async () => {
  const handle = await world.start('evenNumbers', { from: 1, to: 10 });
  expect((await reportOf(handle)).status).toBe('completed');
  const { events, bytes, actions } = await historyOf(world.client, handle.workflowId);
  console.log(`ten items: ${events} events, ${bytes} bytes, ${actions} actions`);
  expect(events).toBeLessThanOrEqual(20);
});

test.concurrent.for([1, 4])(
  'where something slower is: at most an event a second for each open partition, of %d',
  async (partitions) => {
    const chunkMilliseconds = 500;
    const slow = { slow: 'processor', chunkSize: 5, chunkMilliseconds, concurrency: partitions };
    const told = { ...slow, run: `slow ${partitions}`, chunks: 50 * partitions, partitions };
    const handle = await world.start('slowParts', told);
    await reportOf(handle);
    const histories = await historiesOf(world.client, handle.workflowId);
    const pages = histories.flatMap(pagesOf);
    const from = Math.min(...pages.map(({ startedAt }) => startedAt));
    const to = Math.max(...pages.map(({ startedAt, seconds }) => startedAt + seconds * 1000));
    const events = histories
      .flatMap((run) => run.events)
      .map(msOf)
      .filter((at) => at > from && at < to).length;
    const open = pages.reduce((sum, { seconds }) => sum + seconds, 0);
    console.log(`${partitions} partitions: ${events} events in ${open.toFixed(0)} s of pages`);
    // Long enough for several pages, and for the looks that the job takes at its partitions.
    expect(open / partitions).toBeGreaterThan(20);
    expect(events).toBeLessThanOrEqual(open);
  },
);
