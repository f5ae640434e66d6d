import { expect, test } from 'vitest';
import type { JobProgress, StepProgress } from '../../packages/keystride/src/contract/progress.ts';
import { detailsOf } from '../../packages/keystride/src/workflow/details.ts';

const step: StepProgress = {
  step: 'copy',
  kind: 'chunk',
  status: 'running',
  expected: 2000,
  partitions: { total: 1, done: 0, failed: 0 },
  startedAt: '2025-11-01T10:00:00.000Z',
  finishedAt: null,
  read: 500,
  readSkipped: 0,
  filtered: 10,
  written: 480,
  skipped: 10,
};

const progress: JobProgress = {
  job: 'targetSync',
  instance: 'targetSync:run=1',
  parameters: {},
  workflowId: 'targetSync:run=1',
  status: 'running',
  reason: null,
  startedAt: '2025-11-01T10:00:00.000Z',
  finishedAt: null,
  tuning: null,
  steps: [step],
};

const shown = (changes: Partial<StepProgress>) =>
  detailsOf({ ...progress, steps: [{ ...step, ...changes }] });

test('show state, bar, counts and what can be done', () => {
  const text = detailsOf(progress);
  expect(text).toMatch(/^\*\*running\*\*\n/);
  expect(text).toContain(`\`${'█'.repeat(6)}${'░'.repeat(18)}\` 25 % of 2,000`);
  expect(text).toContain('read 500 · written 480 · filtered 10 · skipped 10');
  expect(text).toContain('keystride pause');
});

test('say why it waits, and how to go on', () => {
  const text = detailsOf({ ...progress, status: 'paused', reason: 'month end' });
  expect(text).toMatch(/^\*\*paused\*\*: month end\n/);
  expect(text).toContain('keystride resume');
});

test('show no percentage where nobody knows the total, or where it is nothing', () => {
  expect(shown({ expected: null })).not.toMatch(/%|NaN|Infinity/);
  expect(shown({ expected: 0, read: 0 })).not.toMatch(/%|NaN|Infinity/);
});

test('say that rows were counted and not read', () => {
  expect(shown({ status: 'completed', read: 1500, unread: 500 })).toContain(
    'copy read 1500 of the 2000 rows that were counted',
  );
  expect(shown({ status: 'completed', read: 2000 })).not.toContain('counted');
});

test('say what was expected where there is more', () => {
  expect(shown({ read: 2500 })).toContain('(2,500, expected 2,000)');
  expect(shown({ read: 2500 })).not.toContain('%');
});

test('count what was reached, unreadable rows too, and are full at the end', () => {
  expect(shown({ read: 1990, readSkipped: 10 })).toContain(`\`${'█'.repeat(24)}\` 100 % of 2,000`);
  expect(shown({ read: 1999 })).toContain(' 99 % ');
});

test('show partitions where there are several', () => {
  expect(shown({ partitions: { total: 8, done: 3, failed: 0 } })).toContain('partitions 3/8');
  expect(shown({ partitions: { total: 8, done: 3, failed: 1 } })).toContain('partitions 3/8, 1 failed');
  expect(shown({})).not.toContain('partitions');
});
