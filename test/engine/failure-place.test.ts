import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure } from '@temporalio/common';
import { expect, test } from 'vitest';
import { failure } from '../../packages/keystride/src/contract/errors.ts';
import { failurePlaceOf } from '../../packages/keystride/src/contract/failure-place.ts';
import { toFailure } from '../../packages/keystride/src/page/item-errors.ts';
import { wasAway } from '../../packages/keystride/src/workflow/away.ts';
import { PartitionsFailed } from '../../packages/keystride/src/workflow/partitions-failed.ts';
import { placed, stepFailure } from '../../packages/keystride/src/workflow/placed-failure.ts';

const bad = { decision: 'fail', code: 'BAD' } as const;
const place = { step: 'copy', partitions: [3], items: ['17'] };

/** As a job sees what an activity, and what a partition, has thrown. */
const ofActivity = (cause: Error) =>
  new ActivityFailure('Activity task failed', 'processPage', '1', 'MAXIMUM_ATTEMPTS_REACHED', 'w', cause);
const ofPartition = (cause: Error) =>
  new ChildWorkflowFailure(
    'default',
    { workflowId: 'job:1/copy/p3', runId: 'r' },
    'partition',
    'MAXIMUM_ATTEMPTS_REACHED',
    ofActivity(cause),
  );

test('a page says where it failed, as data', () => {
  expect(failurePlaceOf(toFailure(new Error('bad'), bad, 'job:1 step copy', place))).toEqual(place);
});

test('so does a failure that the job’s own code has thrown, beside its own details', () => {
  const own = ApplicationFailure.create({ message: 'no', type: 'Mine', details: [{ mine: true }] });
  const told = toFailure(own, bad, 'job:1 step copy', place);
  expect(told).toMatchObject({ message: 'no', type: 'Mine', details: [{ mine: true }, place] });
});

test('a step tells of its partitions and their items, and its execution of the step', () => {
  const failed = [
    {
      partition: 3,
      error: ofPartition(toFailure(new Error('bad'), bad, 'job:1 step copy partition 3', place)),
    },
    { partition: 5, error: ofPartition(failure('Superseded', 'job:1 step copy partition 5: lost')) },
  ];
  const step = stepFailure('job:1', 'copy', new PartitionsFailed(failed));
  expect(failurePlaceOf(step)).toEqual({ step: 'copy', partitions: [3, 5], items: ['17'] });
  expect(step.message).toBe(
    'job:1 step copy failed. partition 3: ItemFailed: job:1 step copy partition 3: bad [BAD] | ' +
      'partition 5: Superseded: job:1 step copy partition 5: lost',
  );
  const execution = placed('job:1', step);
  expect(execution.message).toBe(step.message);
  expect(failurePlaceOf(execution)).toEqual(failurePlaceOf(step));
});

test('of a nested job’s failure the step that runs it is told, which is the outermost', () => {
  const nested = stepFailure('other:1', 'send', new Error('no'));
  const step = stepFailure('job:1', 'inner', ofPartition(nested));
  expect(failurePlaceOf(step)).toEqual({ step: 'inner', partitions: [], items: [] });
});

test('what does not say whose it is is told with that', () => {
  expect(placed('job:1', new Error('no')).message).toBe('job:1: no');
  expect(placed('job:1', failure('JobParametersInvalid', 'job:1 is odd'))).toMatchObject({
    message: 'job:1 is odd',
  });
});

test('a failure of 0.1.0 says less: its message, and the item of a page', () => {
  const old = failure('ItemFailed', 'job:1 step copy partition 3: bad', { details: [{ failedKey: '17' }] });
  expect(failurePlaceOf(old)).toBeUndefined();
  const step = stepFailure(
    'job:1',
    'copy',
    new PartitionsFailed([{ partition: 3, error: ofPartition(old) }]),
  );
  expect(failurePlaceOf(step)).toEqual(place);
  const oldStep = failure('StepFailed', 'job:1 step copy failed. why', { details: [{ away: true }] });
  expect(failurePlaceOf(placed('job:1', oldStep))).toBeUndefined();
});

test('details of somebody else are no place', () => {
  for (const detail of [null, 'copy', { step: 'copy' }, { step: 1, partitions: [], items: [] }])
    expect(failurePlaceOf(ApplicationFailure.create({ message: 'no', details: [detail] }))).toBeUndefined();
});

test('partitions were away if each of them was', () => {
  const away = { partition: 1, error: failure('Unavailable', 'away') };
  const fault = { partition: 2, error: failure('ItemFailed', 'bad') };
  expect(wasAway(new PartitionsFailed([away]))).toBe(true);
  expect(wasAway(new PartitionsFailed([away, fault]))).toBe(false);
});
