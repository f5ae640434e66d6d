import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { messages } from '../../packages/keystride/src/contract/messages.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { control } from '../support/runs.ts';
import { waitFor } from '../support/stack.ts';
import { endingOf, type Fixture, openOnOwnServer, type OwnServerFixture, upTo } from './fixture.ts';

// A server that suggests a new history after a few dozen events, where a real one does after thousands.
let own: OwnServerFixture;
let client: Client;
let fixture: Fixture;

beforeAll(async () => {
  own = await openOnOwnServer({ 'limit.historyCount.suggestContinueAsNew': 40 });
  ({ client, fixture } = own);
});

afterAll(() => own?.close());

test('52: continue-as-new in the middle, with a pause pending → the pause holds after it', async () => {
  // One partition is held while the other slot goes on, until its job wants a new history and waits for the held one.
  await fixture.hold('long', 3);
  const told = { run: 'long', items: 120, partitions: 30, window: 2, heldInProcessor: [3] };
  const first = await client.workflow.start('fixture', {
    ...{ taskQueue: fixture.world.taskQueue, workflowId: 'long', args: [told] },
  });
  const newest = client.workflow.getHandle('long');
  await waitFor(async () => (await asksToRest(first.firstExecutionRunId)) && true, { what: 'a new history' });
  expect(await control(newest, 'pause', 'while it continues')).toEqual({ status: 'pausing' });

  await waitFor(async () => (await newest.describe()).runId !== first.firstExecutionRunId, {
    what: 'the run to continue as new',
  });
  const paused = await waitFor(
    async () => {
      const progress = await newest.query<JobProgress>(messages.progress);
      return progress.status === 'paused' && progress;
    },
    { what: 'the pause to hold' },
  );
  expect(paused.reason).toBe('while it continues');
  await fixture.release('long');
  const { read } = await fixture.effects('long');
  expect(read).toBeLessThan(120);
  await delay(1_000);
  expect((await fixture.effects('long')).read, 'nothing goes on').toBe(read);

  expect(await control(newest, 'resume')).toEqual({ status: 'running' });
  expect(await endingOf(newest)).toMatchObject({ status: 'completed' });
  expect(await fixture.effects('long')).toMatchObject({ read: 120, writtenCount: 120, written: upTo(120) });
});

/** Whether a run has asked its partitions to rest, and waits for them. */
async function asksToRest(runId: string): Promise<boolean> {
  const { events } = await client.workflow.getHandle('long', runId).fetchHistory();
  return (events ?? []).some((event) => event.requestCancelExternalWorkflowExecutionInitiatedEventAttributes);
}
