import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { control, until } from '../support/runs.ts';
import { waitFor } from '../support/stack.ts';
import { each, endingOf, fails, Fixture, upTo } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open();
});

afterAll(() => fixture?.close());

const flow = { job: 'fixtureFlow' };
const items = { ...flow, step: 'items' };
const more = { ...flow, step: 'more' };

function stepsOf(report: JobProgress | undefined): string[] {
  return report?.steps.map(({ step, status }) => `${step} ${status}`) ?? [];
}

/** Waits until both branches of a parallel flow are in the middle, at this item. */
async function bothAt(run: string, item: number): Promise<void> {
  for (const step of ['items', 'more'])
    await waitFor(async () => (await fixture.calls(run, 'process', step))[item] === 1, { what: step });
}

describe('53: a branch on a step’s outcome, a loop, two steps in parallel → as plain code; each in the report', () => {
  test('a branch', async () => {
    const skipping = await fixture.run('branch', { flow: 'branch', faults: [fails('process', 4)] }, flow);
    expect(stepsOf(skipping.report)).toEqual(['items completed', 'more completed']);
    expect(skipping).toMatchObject({ status: 'completedWithSkips' });
    const clean = await fixture.run('straight', { flow: 'branch' }, flow);
    expect(stepsOf(clean.report)).toEqual(['items completed', 'finish completed']);
    expect(clean).toMatchObject({ status: 'completed' });
  });

  test('a loop', async () => {
    const whole = await fixture.run('loop', { flow: 'loop' }, flow);
    expect(stepsOf(whole.report)).toEqual([
      'prepare completed',
      'items completed',
      'more completed',
      'finish completed',
    ]);
    const left = await fixture.run('left', { flow: 'loop', items: 6 }, flow);
    expect(stepsOf(left.report)).toEqual(['prepare completed', 'items completed']);
  });

  test('two steps in parallel', async () => {
    await fixture.hold('parallel', 3);
    const told = { flow: 'parallel', heldInProcessor: [3] };
    const handle = await fixture.start('parallel', told, flow);
    await bothAt('parallel', 3);
    await fixture.release('parallel');
    const ending = await endingOf(handle);
    expect(stepsOf(ending.report).toSorted()).toEqual([
      'finish completed',
      'items completed',
      'more completed',
    ]);
    for (const place of [items, more])
      expect(await fixture.effects('parallel', place)).toMatchObject({ read: 5, written: upTo(5) });
  });
});

test('54: a parallel branch fails → the other is stopped gracefully; the job fails with both outcomes', async () => {
  // The other has seconds of work left: a machine that is busy takes its time to tell it to stop.
  const told = { flow: 'parallel', items: 400, itemMilliseconds: 20 };
  const faults = [fails('process', 10, { error: 'other' })];
  await fixture.hold('half', 10);
  const handle = await fixture.start('half', { ...told, faults, heldInProcessor: [10] }, flow);
  await bothAt('half', 10);
  await fixture.release('half');
  const { status, message } = await endingOf(handle);
  expect(status).toBe('failed');
  expect(message).toMatch(/step items failed.*process of item 10 fails as told/u);
  expect(message).toMatch(/step more stopped/u);
  const report = await handle.query<JobProgress>('progress');
  expect(stepsOf(report).toSorted()).toEqual(['items failed', 'more stopped']);
  // What the other had in hand has committed, and nothing of it is left running.
  const stopped = await fixture.effects('half', more);
  expect(stopped.read).toBeGreaterThan(0);
  expect(stopped.read).toBeLessThan(400);
  expect(stopped.written).toEqual(upTo(stopped.read));

  expect((await fixture.run('half', { ...told, itemMilliseconds: 0 }, flow)).status).toBe('completed');
  for (const place of [items, more])
    expect(await fixture.effects('half', place)).toMatchObject({
      read: 400,
      writtenCount: 400,
      written: upTo(400),
    });
  expect(await fixture.calls('half', 'write', 'more')).toEqual(each(upTo(400)));
});

describe.concurrent('54: where the job says so, the other branch finishes the step that it has begun', () => {
  const finishing = { job: 'fixtureFinish' };

  test('the job fails with both outcomes, begins nothing more, and the next start does the rest', async () => {
    const told = { flow: 'branches', items: 40, itemMilliseconds: 10 };
    const faults = [fails('process', 10, { error: 'other' })];
    await fixture.hold('whole', 10);
    const handle = await fixture.start('whole', { ...told, faults, heldInProcessor: [10] }, finishing);
    await bothAt('whole', 10);
    await fixture.release('whole');
    const { status, message } = await endingOf(handle);
    expect(status).toBe('failed');
    expect(message).toMatch(
      /step items failed.*process of item 10 fails as told.*Meanwhile: step more completed/u,
    );
    const report = await handle.query<JobProgress>('progress');
    expect(stepsOf(report).toSorted()).toEqual(['items failed', 'more completed']);
    expect(await fixture.effects('whole', { ...finishing, step: 'more' })).toMatchObject({
      written: upTo(40),
    });
    expect((await fixture.effects('whole', { ...finishing, step: 'finish' })).written, 'not begun').toEqual(
      [],
    );

    expect((await fixture.run('whole', told, finishing)).status).toBe('completed');
    for (const step of ['items', 'more'])
      expect(await fixture.effects('whole', { ...finishing, step })).toMatchObject({ written: upTo(40) });
    expect((await fixture.effects('whole', { ...finishing, step: 'finish' })).written).toEqual([1]);
    expect(await fixture.calls('whole', 'write', 'more')).toEqual(each(upTo(40)));
  });

  test('when it fails too, both failures are told', async () => {
    const faults = [
      fails('process', 2, { error: 'other' }),
      fails('process', 9, { error: 'other', step: 'more' }),
    ];
    await fixture.hold('both', 9);
    const told = { flow: 'parallel', items: 12, faults, heldInProcessor: [9] };
    const handle = await fixture.start('both', told, finishing);
    await waitFor(async () => (await fixture.world.progress(handle.workflowId)).steps.some(hasFailed));
    await waitFor(async () => (await fixture.calls('both', 'process', 'more'))[9] === 1);
    await fixture.release('both');
    const { message } = await endingOf(handle);
    expect(message).toMatch(/step items failed.*item 2 fails.*Meanwhile: step more failed.*item 9 fails/u);
  });

  test('an operator who stops the job does not wait for that', async () => {
    const faults = [fails('process', 2, { error: 'other' })];
    await fixture.hold('impatient', 9);
    const told = { flow: 'parallel', items: 100, itemMilliseconds: 30, faults, heldInProcessor: [9] };
    const handle = await fixture.start('impatient', told, finishing);
    await waitFor(async () => (await fixture.world.progress(handle.workflowId)).steps.some(hasFailed));
    await waitFor(async () => (await fixture.calls('impatient', 'process', 'more'))[9] === 1);
    expect(await control(handle, 'stop')).toEqual({ status: 'stopping' });
    await fixture.release('impatient');
    const { status, message } = await endingOf(handle);
    expect(status).toBe('failed');
    expect(message).toMatch(/step items failed.*Meanwhile: step more stopped/u);
  });

  test('a nested job is finished too, and done for the next start', async () => {
    const faults = [fails('process', 2, { error: 'other', step: 'more' })];
    await fixture.hold('nested', 9);
    const told = { flow: 'nestedBeside', items: 12 };
    const handle = await fixture.start('nested', { ...told, faults, heldInProcessor: [9] }, finishing);
    await waitFor(async () => (await fixture.world.progress(handle.workflowId)).steps.some(hasFailed));
    await fixture.reached('nested', 'process', 9);
    await fixture.release('nested');
    expect((await endingOf(handle)).message).toMatch(/step more failed.*Meanwhile: step inner completed/u);
    const { report, status } = await fixture.run('nested', told, finishing);
    expect(status).toBe('completed');
    expect(report?.steps.find(({ step }) => step === 'inner')).toMatchObject({ kind: 'job', written: 12 });
    expect(await fixture.calls('nested', 'process')).toEqual(each(upTo(12)));
  });
});

test('a job that holds tries its step again on resume, and goes on', async () => {
  const holding = { job: 'fixtureHold' };
  const faults = [fails('process', 4, { error: 'other', times: 1 })];
  const handle = await fixture.start('hold', { faults }, holding);
  const held = await until(fixture.world, handle.workflowId, 'holding');
  expect(held.reason).toMatch(/process of item 4 fails as told/u);
  await control(handle, 'resume');
  expect((await endingOf(handle)).status).toBe('completed');
  expect(await fixture.effects('hold', holding)).toMatchObject({ read: 5, written: upTo(5) });
});

function hasFailed({ status }: { readonly status: string }): boolean {
  return status === 'failed';
}
