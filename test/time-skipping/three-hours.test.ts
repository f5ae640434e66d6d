import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { requiredTsToMs } from '@temporalio/common/lib/time.js';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { messages } from '../../packages/keystride/src/contract/messages.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import type { JobStatus } from '../../packages/keystride/src/contract/states.ts';
import { writeWorkflowBundle } from '../../packages/keystride/src/host/workflow-bundle.ts';
import { each, endingOf, Fixture, upTo } from '../conformance/fixture.ts';
import { control } from '../support/runs.ts';
import { waitFor } from '../support/stack.ts';
import { startTimeSkippingServer, type TimeSkippingServer } from 'keystride/testing';

const minutes = 60_000;

let temporal: TimeSkippingServer;
let fixture: Fixture;
let client: Client;
let api: Server;
/** The API answers 503 to item 7 as long as it is away. */
let away = true;
let refused = 0;

beforeAll(async () => {
  temporal = await startTimeSkippingServer();
  client = new Client({ connection: temporal.connection });
  api = createServer((request, response) => {
    const down = away && request.url?.endsWith('item=7') === true;
    if (down) refused++;
    response.writeHead(down ? 503 : 200).end('{}');
  }).listen(0, '127.0.0.1');
  await once(api, 'listening');
  fixture = await Fixture.open(false);
  const workflows = path.join(inject('keystride').bundles, `patient-${process.pid}.js`);
  await writeWorkflowBundle(
    workflows,
    path.join(import.meta.dirname, '../support/jobs/patient-workflows.ts'),
  );
  await fixture.world.startWorker({
    environment: {
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: 'default',
      KEYSTRIDE_WORKFLOW_BUNDLE: workflows,
    },
  });
});

afterAll(async () => {
  await fixture?.close();
  api?.close();
  await temporal?.stop();
});

/** Lets time pass until the job is in one of these states. A little at a time: it passes before a worker has looked. */
async function passUntil(handle: WorkflowHandle, statuses: readonly JobStatus[]): Promise<JobProgress> {
  return waitFor(
    async () => {
      await temporal.pass(minutes);
      const progress = await handle.query<JobProgress>(messages.progress);
      return statuses.includes(progress.status) && progress;
    },
    { what: `the job to be ${statuses.join(' or ')}`, everyMs: 10 },
  );
}

/** How long pages were tried before Temporal gave them up, in milliseconds of the server's time. */
async function spentRetrying(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  const times = new Map(
    events?.map(({ eventId, eventTime }) => [String(eventId), requiredTsToMs(eventTime, 'eventTime')]),
  );
  let spent = 0;
  for (const { activityTaskFailedEventAttributes: failed, eventTime } of events ?? [])
    if (failed)
      spent += requiredTsToMs(eventTime, 'eventTime') - (times.get(String(failed.scheduledEventId)) ?? 0);
  return spent;
}

test('an API that is away, an operator who takes an hour and an hour of timers: the books balance', async () => {
  const began = await temporal.now();
  const { port } = api.address() as AddressInfo;
  const told = { run: 'patient', items: 20, apiUrl: `http://127.0.0.1:${port}/` };
  const handle = await client.workflow.start('fixtureHold', {
    ...{ taskQueue: fixture.world.taskQueue, workflowId: 'patient', args: [told] },
  });

  // An hour of retries: each time that they are used up the job holds, and the operator says to go on.
  for (;;) {
    const { reason } = await passUntil(handle, ['holding']);
    expect(reason).toMatch(/key 6.*HTTP_503/u);
    if ((await spentRetrying(handle)) > 60 * minutes) break;
    expect(await control(handle, 'resume')).toEqual({ status: 'running' });
  }
  // Backing off: not more often than every few seconds, and not so seldom that nobody tries.
  expect(refused).toBeGreaterThan(60);
  expect(refused).toBeLessThan(600);
  expect(await fixture.effects('patient', { job: 'fixtureHold' })).toMatchObject({
    read: 6,
    written: upTo(6),
  });

  // An hour of holding, in which nothing moves.
  const before = refused;
  await temporal.pass(60 * minutes);
  expect((await handle.query<JobProgress>(messages.progress)).status).toBe('holding');
  expect(refused).toBe(before);
  away = false;
  expect(await control(handle, 'resume')).toEqual({ status: 'running' });

  // An hour of timers.
  await passUntil(handle, ['completed', 'failed']);
  expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
  expect((await temporal.now()) - began).toBeGreaterThan(180 * minutes);
  expect(await fixture.effects('patient', { job: 'fixtureHold' })).toMatchObject({
    read: 20,
    writtenCount: 20,
    written: upTo(20),
  });
  expect(await fixture.calls('patient', 'write')).toEqual(each(upTo(20)));
});
