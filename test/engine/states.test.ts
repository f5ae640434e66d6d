import { describe, expect, test } from 'vitest';
import {
  isFinal,
  jobStatuses,
  mayBecome,
  type JobStatus,
} from '../../packages/keystride/src/contract/states.ts';

const finals: readonly JobStatus[] = ['completed', 'completedWithSkips', 'stopped', 'failed'];

describe('the states of an execution', () => {
  test('end in exactly the final ones', () => {
    expect(jobStatuses.filter(isFinal)).toEqual(finals);
  });

  test.each(finals)('%s is never left', (status) => {
    expect(jobStatuses.filter((next) => mayBecome(status, next))).toEqual([]);
  });

  test('lead from starting to every other state', () => {
    const reached = new Set<JobStatus>(['starting']);
    for (const from of reached) for (const to of jobStatuses) if (mayBecome(from, to)) reached.add(to);
    expect([...reached].toSorted()).toEqual(jobStatuses.toSorted());
  });

  test('lead from every state to an end', () => {
    const ending = new Set<JobStatus>(finals);
    for (let before = -1; before !== ending.size;) {
      before = ending.size;
      for (const from of jobStatuses) if ([...ending].some((to) => mayBecome(from, to))) ending.add(from);
    }
    expect([...ending].toSorted()).toEqual(jobStatuses.toSorted());
  });

  test.each(jobStatuses.filter((status) => !isFinal(status) && status !== 'stopping'))(
    'let an operator stop from %s',
    (status) => expect(mayBecome(status, 'stopping')).toBe(true),
  );

  test.each(['paused', 'holding', 'stopping'] as const)('do not let %s be completed over', (status) => {
    expect(mayBecome(status, 'completed')).toBe(status === 'stopping');
  });

  test('never lead back to starting, nor out of stopping but to an end', () => {
    expect(jobStatuses.filter((from) => mayBecome(from, 'starting'))).toEqual([]);
    expect(jobStatuses.filter((to) => mayBecome('stopping', to)).every(isFinal)).toBe(true);
  });
});
