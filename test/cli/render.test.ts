import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { withHeartbeats, type LiveProgress } from '../../packages/keystride/src/operator/heartbeats.ts';
import { renderLines, renderLogLine } from '../../packages/keystride/src/cli/render.ts';
import { Observed } from '../../packages/keystride/src/operator/figures.ts';
import {
  noCounters,
  type JobProgress,
  type StepProgress,
} from '../../packages/keystride/src/contract/progress.ts';

function stepAt(change: Partial<StepProgress>): StepProgress {
  return {
    step: 'fetchAndStore',
    kind: 'chunk',
    status: 'running',
    expected: 1000,
    ...noCounters,
    partitions: { total: 1, done: 0, failed: 0 },
    startedAt: '2026-01-01T00:00:00.000Z',
    finishedAt: null,
    ...change,
  };
}

function runOf(step: StepProgress, change: Partial<LiveProgress> = {}): LiveProgress {
  return {
    job: 'documentMigration',
    instance: 'documentMigration:run=2',
    parameters: { run: 2 },
    workflowId: 'documentMigration:run=2',
    status: 'running',
    reason: null,
    startedAt: '2026-01-01T00:00:00.000Z',
    finishedAt: null,
    tuning: null,
    steps: [step],
    live: null,
    ...change,
  };
}

function text(progress: LiveProgress, observed = new Observed()): string {
  return stripVTControlCharacters(renderLines(progress, observed).join('\n'));
}

test('a running step has a bar, counts, a rate and the time that is left', () => {
  const observed = new Observed();
  for (let second = 0; second <= 10; second++)
    observed.add(runOf(stepAt({ read: second * 50 })), second * 1000);
  const shown = text(runOf(stepAt({ read: 500, written: 480, skipped: 20 })), observed);
  expect(shown).toContain('█'.repeat(14) + '░'.repeat(14));
  expect(shown).toContain('50 % · 500 of 1,000 · 50/s · ETA 10 s · 20 skipped');
});

test('an unknown total shows no percentage, a count above the estimate says what was expected', () => {
  expect(text(runOf(stepAt({ read: 500, expected: null })))).not.toContain('%');
  const above = text(runOf(stepAt({ read: 1200 })));
  expect(above).toContain('1,200, expected 1,000');
  expect(above).not.toContain('%');
});

test('says why it is paused and why pages wait', () => {
  const live = { inFlight: 3, chunkSize: 50, concurrency: 3, waiting: ['the API answers 429'], pages: [] };
  const shown = text(runOf(stepAt({}), { status: 'paused', reason: 'upgrade', live }));
  expect(shown).toContain('paused: upgrade');
  expect(shown).toContain('waiting: the API answers 429');
});

test('a line of a log begins with the time and names the run, its state and the running step', () => {
  const line = renderLogLine(runOf(stepAt({ read: 10 })), new Observed(), new Date('2026-01-01T00:00:09Z'));
  expect(stripVTControlCharacters(line)).toBe(
    '2026-01-01T00:00:09.000Z documentMigration:run=2 running fetchAndStore 1 %, 10 of 1,000',
  );
});

test('heartbeats make counters fresher, and never older', () => {
  const progress: JobProgress = runOf(stepAt({ read: 100, written: 100 }));
  const beat = (read: number) => ({
    heartbeat: {
      step: 'fetchAndStore',
      partition: 0,
      counters: { ...noCounters, read, written: read },
      inFlight: 7,
      waiting: null,
    },
    retrying: undefined,
  });
  expect(withHeartbeats(progress, [beat(150)])).toMatchObject({
    steps: [{ read: 150 }],
    live: { inFlight: 7 },
  });
  expect(withHeartbeats(progress, [beat(50)])).toMatchObject({ steps: [{ read: 100 }] });
  expect(withHeartbeats(progress, [beat(80), beat(70)])).toMatchObject({
    steps: [{ read: 150 }],
    live: { inFlight: 14 },
  });
});

test('a page that is tried again says why', () => {
  const pages = [{ heartbeat: undefined, retrying: 'attempt 2: connection refused' }];
  expect(withHeartbeats(runOf(stepAt({})), pages).live).toEqual({
    inFlight: 0,
    chunkSize: null,
    concurrency: null,
    waiting: ['attempt 2: connection refused'],
    pages: [],
  });
});
