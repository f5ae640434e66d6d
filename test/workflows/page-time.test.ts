import { afterAll, beforeAll, expect, test } from 'vitest';
import { historiesOf, pagesOf } from '../support/history.ts';
import { reportOf, stepOf } from '../support/runs.ts';
import { createWorld, testJobsWorker, type World } from '../support/stack.ts';

let world: World;

beforeAll(async () => {
  world = await createWorld({ workerProgram: testJobsWorker });
  await world.startWorker();
});

afterAll(() => world?.dispose());

const chunkSeconds = 0.7;

/** A second chunk would be at least that late; what is between is for a machine that is busy with other tests. */
const mostBeyond = 1.8 * chunkSeconds;

const cases = [
  { slow: 'reader', chunkSize: 5, concurrency: 1, pageSeconds: 2 },
  { slow: 'processor', chunkSize: 5, concurrency: 1, pageSeconds: 2 },
  // Items of several chunks are under way at a time.
  { slow: 'processor', chunkSize: 5, concurrency: 20, pageSeconds: 4 },
  { slow: 'preparation', chunkSize: 5, concurrency: 1, pageSeconds: 2 },
  { slow: 'writer', chunkSize: 5, concurrency: 1, pageSeconds: 2 },
  // Less than two chunks fit in, and many wait for their commit.
  { slow: 'writer', chunkSize: 5, concurrency: 20, pageSeconds: 1 },
  // Less than one.
  { slow: 'writer', chunkSize: 5, concurrency: 1, pageSeconds: 0.3 },
  { slow: 'set', chunkSize: 5, concurrency: 1, pageSeconds: 2 },
] as const;

test.concurrent.for(cases)(
  'a page exceeds its time by one chunk at most: slow $slow, $concurrency at a time, pages of $pageSeconds s',
  async (told) => {
    const chunks = told.slow === 'processor' && told.concurrency > 1 ? 40 : 8;
    const run = `${told.slow} ${told.concurrency} ${told.pageSeconds}`;
    const chunkMilliseconds = chunkSeconds * 1000;
    const handle = await world.start('slowParts', { ...told, run, chunks, chunkMilliseconds });
    const report = await reportOf(handle);
    const items = chunks * told.chunkSize;
    expect(stepOf(report, 'items')).toMatchObject({ read: items, written: items, skipped: 0 });
    const pages = (await historiesOf(world.client, handle.workflowId)).flatMap(pagesOf);
    const seconds = pages.map((page) => page.seconds);
    console.log(`${run}: pages of ${seconds.map((took) => took.toFixed(2)).join(', ')} s`);
    expect(pages.length).toBeGreaterThan(1);
    // The first page of a worker waits for its connections.
    expect(Math.max(...seconds)).toBeLessThan(told.pageSeconds + mostBeyond);
  },
);
