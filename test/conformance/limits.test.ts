import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { historiesOf, refusalsIn } from '../support/history.ts';
import { endingOf, type Fixture, openOnOwnServer, type OwnServerFixture, upTo } from './fixture.ts';

/** A sixteenth of what Temporal Cloud allows, as docs/temporal-limits.md lists it: what passes here has room there. */
const limits = {
  'limit.blobSize.error': 128 * 1024,
  'limit.historySize.error': 3_200 * 1024,
  'limit.historyCount.error': 3_200,
  'limit.historySize.suggestContinueAsNew': 256 * 1024,
  'limit.historyCount.suggestContinueAsNew': 256,
  'limit.numPendingActivities.error': 125,
  'limit.numPendingChildExecutions.error': 125,
  'limit.numPendingCancelRequests.error': 125,
} as const;

let own: OwnServerFixture;
let client: Client;
let fixture: Fixture;

beforeAll(async () => {
  own = await openOnOwnServer(limits);
  ({ client, fixture } = own);
});

afterAll(() => own?.close());

/** One item in three of 300 fails, in each of 64 partitions that are all open at once. */
const wide = {
  ...{ items: 300, partitions: 64, window: 64 },
  faults: Array.from({ length: 100 }, (_, index) => ({ phase: 'process', item: 3 * index + 1, depth: 3 })),
};

function start(run: string, told: object) {
  const { taskQueue } = fixture.world;
  return client.workflow.start('fixture', { taskQueue, workflowId: run, args: [{ run, ...wide, ...told }] });
}

/** Each run's history, and the payloads in it: sizes in bytes. */
async function sizesOf(workflowId: string) {
  const histories = await historiesOf(client, workflowId);
  const payloads: number[] = [];
  const visit = (value: unknown): void => {
    if (value instanceof Uint8Array) payloads.push(value.byteLength);
    else if (typeof value === 'object' && value !== null)
      for (const part of Object.values(value)) visit(part);
  };
  visit(histories.map(({ events }) => events));
  return {
    events: Math.max(...histories.map(({ events }) => events.length)),
    bytes: Math.max(...histories.map(({ bytes }) => bytes)),
    payload: Math.max(...payloads),
    refused: histories.flatMap(({ events }) => refusalsIn(events)),
  };
}

test('a run with many partitions and skips stays within a sixteenth of each limit', async () => {
  const ending = await endingOf(await start('within', { skipLimit: 100 }));
  expect(ending).toMatchObject({ status: 'completedWithSkips', message: '' });
  const written = upTo(300).filter((item) => item % 3 !== 1);
  expect(await fixture.effects('within')).toMatchObject({ read: 300, skipped: 100, written });
  const { events, bytes, payload, refused } = await sizesOf('within');
  console.log(`${events} events, ${bytes} bytes, the largest payload ${payload} bytes`);
  expect(refused).toEqual([]);
  expect(events).toBeLessThan(limits['limit.historyCount.error']);
  expect(bytes).toBeLessThan(limits['limit.historySize.error']);
  expect(payload).toBeLessThan(limits['limit.blobSize.error']);
});

test('so does one that fails in all of its partitions', async () => {
  const ending = await endingOf(await start('failing', { skipLimit: 0 }));
  expect(ending).toMatchObject({ status: 'failed', type: 'StepFailed' });
  const { payload, refused } = await sizesOf('failing');
  console.log(`the largest payload ${payload} bytes; the message ${Buffer.byteLength(ending.message)} bytes`);
  expect(refused).toEqual([]);
  expect(payload).toBeLessThan(limits['limit.blobSize.error']);
});
