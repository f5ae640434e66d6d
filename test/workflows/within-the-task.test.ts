import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { endingOf, Fixture, instanceOf, upTo } from '../conformance/fixture.ts';
import { type TestWorker, waitFor } from '../support/stack.ts';

let fixture: Fixture;
let worker: TestWorker;

beforeAll(async () => {
  fixture = await Fixture.open(false);
  worker = await fixture.world.startWorker();
});

afterAll(() => fixture?.close());

/** What a run has asked for over the queue, and the markers of what it has not. */
async function askedOf(handle: WorkflowHandle): Promise<{ queued: string[]; markers: string[] }> {
  const events = (await handle.fetchHistory()).events ?? [];
  return {
    queued: events.flatMap((event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? []),
    markers: events.flatMap((event) => event.markerRecordedEventAttributes?.markerName ?? []),
  };
}

/** How a start of what has completed is refused, and what it has asked for over the queue. */
async function refusalOf(run: string) {
  const handle = await fixture.start(run, {}, { workflowId: `${run} again` });
  const { type, message } = await endingOf(handle);
  return { type, message: message.replaceAll(run, 'RUN'), ...(await askedOf(handle)) };
}

test('what the ledger does not answer in the time of a task is asked for on the queue, and done once', async () => {
  const holder = await fixture.pool.connect();
  try {
    await holder.query('BEGIN; LOCK TABLE keystride.instance IN ACCESS EXCLUSIVE MODE');
    const handle = await fixture.start('slow');
    await waitFor(async () => (await askedOf(handle)).queued.includes('openJob'), { what: 'the queue' });
    await holder.query('COMMIT');
    expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
    expect((await askedOf(handle)).queued.filter((name) => name !== 'processPage')).toEqual(['openJob']);
  } finally {
    holder.release(true);
  }
  expect(await fixture.effects('slow')).toMatchObject({ read: 5, written: upTo(5) });
  const { rows } = await fixture.pool.query(
    'SELECT epoch::int, status FROM keystride.instance WHERE instance_key = $1',
    [instanceOf('slow')],
  );
  expect(rows).toEqual([{ epoch: 1, status: 'completed' }]);
});

test('a run asks for a bounded number of answers within its tasks, and for none that is long', async () => {
  const often = await fixture.start('often', { flow: 'often' }, { job: 'fixtureFlow' });
  expect(await endingOf(often)).toMatchObject({ status: 'completed' });
  // Twenty steps are opened besides the job: sixteen are asked for within.
  const steps = Array.from({ length: 5 }, () => 'openStep');
  expect((await askedOf(often)).queued).toEqual(['runTasklet', ...steps, 'closeJob']);

  const told = { filtered: Array.from({ length: 10_000 }, (_, index) => 100_000 + index) };
  const long = await fixture.start('long', told);
  expect(await endingOf(long)).toMatchObject({ status: 'completed' });
  expect((await askedOf(long)).queued).toEqual(['openJob', 'processPage']);
});

test('while workers of an earlier release may be there, a run has nothing that they cannot go on with', async () => {
  await worker.stop();
  await fixture.pool.query('UPDATE keystride.ledger SET level = 0');
  worker = await fixture.world.startWorker();
  const before = await fixture.start('before');
  expect(await endingOf(before)).toMatchObject({ status: 'completed' });
  expect(await askedOf(before)).toEqual({
    queued: ['openJob', 'openStep', 'processPage', 'closeStep', 'closeJob'],
    markers: [],
  });
  const refused = await refusalOf('before');
  expect(refused).toMatchObject({ type: 'JobInstanceAlreadyComplete', queued: ['openJob'], markers: [] });

  await worker.stop();
  const raised = await keystride(
    ['migrate', '--only', 'ledger', '--no-older-workers'],
    fixture.world.environment,
  );
  expect(raised.exitCode, raised.stderr).toBe(0);
  worker = await fixture.world.startWorker();

  const after = await fixture.start('after');
  expect(await endingOf(after)).toMatchObject({ status: 'completed' });
  expect((await askedOf(after)).queued).toEqual(['processPage']);
  // Refused at once, in the same words.
  const { queued: none, ...told } = await refusalOf('after');
  expect(none).toEqual([]);
  expect(told).toMatchObject({ type: refused.type, message: refused.message });
});
