import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endingOf, Fixture, upTo } from '../conformance/fixture.ts';
import { timeoutsOf } from '../support/history.ts';
import { waitFor } from '../support/stack.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open(false);
});

afterAll(() => fixture?.close());

const flow = { job: 'fixtureFlow' };

/** Where a run can be without a page: what is held, the activity that does it, and its step. */
const places = [
  // Its workflow task has given the plan up by then, which is made on the queue.
  { heldIn: 'plan', calls: 2, activity: 'openStep', step: 'items' },
  { heldIn: 'tasklet', calls: 1, activity: 'runTasklet', step: 'prepare' },
] as const;

/** Starts a run on a worker of its own, and waits until it is held there. */
async function heldRun(run: string, { heldIn, step, calls }: (typeof places)[number]) {
  const worker = await fixture.world.startWorker();
  await fixture.hold(run, 0);
  const handle = await fixture.start(run, { heldIn }, flow);
  await waitFor(async () => (await fixture.calls(run, heldIn, step))[0] === calls, { what: `the ${heldIn}` });
  return { worker, handle };
}

test.for(places)(
  'a worker killed in the $heldIn is missed by its heartbeat, and another goes on',
  async (place) => {
    const run = `killed-${place.heldIn}`;
    const { worker, handle } = await heldRun(run, place);
    await worker.kill('SIGKILL');
    const other = await fixture.world.startWorker();
    await fixture.release(run);
    expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
    expect(await timeoutsOf(fixture.world.client, handle.workflowId, place.activity)).toEqual(['HEARTBEAT']);
    expect(await fixture.effects(run, flow)).toMatchObject({ read: 5, written: upTo(5) });
    expect((await fixture.effects(run, { ...flow, step: 'prepare' })).written).toEqual([1]);
    await other.stop();
  },
);

test('a plan that takes longer than a heartbeat may be away is made once on the queue', async () => {
  const [place] = places;
  const { worker, handle } = await heldRun('long-plan', place);
  await delay(10_000);
  await fixture.release('long-plan');
  expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
  expect(await fixture.calls('long-plan', 'plan')).toEqual({ 0: place.calls });
  await worker.stop();
});

test('a worker that is asked to end lets its tasklet finish, and the result is kept', async () => {
  const [, place] = places;
  const { worker, handle } = await heldRun('ended-tasklet', place);
  const stopped = worker.stop();
  await fixture.release('ended-tasklet');
  await stopped;
  const other = await fixture.world.startWorker();
  expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
  expect(await fixture.calls('ended-tasklet', 'tasklet', 'prepare')).toEqual({ 0: 1 });
  await other.stop();
});

test('a plan that is interrupted because its worker is asked to end is made by another', async () => {
  const [place] = places;
  const { worker, handle } = await heldRun('ended-plan', place);
  await worker.stop();
  await fixture.release('ended-plan');
  const other = await fixture.world.startWorker();
  expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
  expect(await fixture.effects('ended-plan', flow)).toMatchObject({ read: 5, written: upTo(5) });
  await other.stop();
});

test('a tasklet that outlasts the end of its worker is run by another, once', async () => {
  const [, place] = places;
  const { worker, handle } = await heldRun('outlasting', place);
  await worker.stop();
  const other = await fixture.world.startWorker();
  await fixture.release('outlasting');
  expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
  expect((await fixture.effects('outlasting', { ...flow, step: 'prepare' })).written).toEqual([1]);
  await other.stop();
});
