import { describe, expect, test, vi } from 'vitest';
import {
  isFinal,
  jobStatuses,
  mayBecome,
  type JobStatus,
} from '../../packages/keystride/src/contract/states.ts';
import { RunState } from '../../packages/keystride/src/workflow/run-state.ts';

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

describe('the state of a run', () => {
  const edges = jobStatuses.flatMap((from) => jobStatuses.map((to) => [from, to] as const));

  /** The shortest way from the beginning to a state. */
  function wayTo(wanted: JobStatus): readonly JobStatus[] {
    const ways = new Map<JobStatus, readonly JobStatus[]>([['starting', []]]);
    for (const [from, way] of ways)
      for (const to of jobStatuses) if (mayBecome(from, to) && !ways.has(to)) ways.set(to, [...way, to]);
    return ways.get(wanted) ?? [];
  }

  test.each(edges)(
    'goes from %s to %s as the table says, and is told to be at fault otherwise',
    (from, to) => {
      const changed = vi.fn<() => void>();
      const state = new RunState('noted', null, changed);
      for (const status of wayTo(from)) state.become(status, 'before');
      const before = { calls: changed.mock.calls.length, reason: state.reason };
      if (from !== to && !mayBecome(from, to)) {
        expect(() => state.become(to, 'after')).toThrow(`noted is ${from} and cannot become ${to}`);
        expect(state.status).toBe(from);
      } else {
        state.become(to, 'after');
        expect(state.status).toBe(to);
      }
      const moved = mayBecome(from, to);
      expect(state.allows(to)).toBe(moved || from === to);
      expect(changed).toHaveBeenCalledTimes(before.calls + (moved ? 1 : 0));
      expect(state.reason).toBe(moved ? 'after' : before.reason);
    },
  );
});
