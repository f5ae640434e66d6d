import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DeterminismViolationError } from '@temporalio/workflow';
import { DefaultLogger, Runtime, Worker, type ReplayWorkerOptions } from '@temporalio/worker';
import { beforeAll, expect, test } from 'vitest';
import { bundleFor } from './support/workflow-bundle.ts';
import { productWorker } from './support/stack.ts';

// One folder a release, written by `record.ts` in it.
const folder = path.join(import.meta.dirname, 'histories');
const histories = globSync('*/*.json', { cwd: folder }).toSorted();

let options: ReplayWorkerOptions;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  options = { workflowBundle: { codePath: await bundleFor(productWorker) } };
});

interface RecordedEvent {
  activityTaskScheduledEventAttributes?: { activityType: { name: string } };
  workflowExecutionStartedEventAttributes?: { workflowType: { name: string }; workflowId: string };
}

function read(name: string): { events: RecordedEvent[] } {
  return JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as { events: RecordedEvent[] };
}

function startOf(name: string) {
  const [first] = read(name).events;
  if (!first?.workflowExecutionStartedEventAttributes) throw new Error(`${name} does not begin with a start`);
  return first.workflowExecutionStartedEventAttributes;
}

test('there is a history of every workflow type', () => {
  const entries = ['../src/workflows/index.ts', '../packages/keystride/src/workflows.ts'];
  const exported = entries.flatMap((entry) => {
    const text = readFileSync(path.join(import.meta.dirname, entry), 'utf8');
    return Array.from(text.matchAll(/^export \{ (\w+) \}/gmu), ([, name]) => name);
  });
  const recorded = new Set(histories.map((name) => startOf(name).workflowType.name));
  expect(exported).toContain('partition');
  expect(
    exported.filter((name) => !recorded.has(name ?? '')),
    'before a release, record them: node test/histories/record.ts',
  ).toEqual([]);
});

test.for(histories)('%s replays with the workflows of today', async (name) => {
  await Worker.runReplayHistory(options, read(name), startOf(name).workflowId);
});

test('a workflow that does something else than its history is noticed', async () => {
  const paused = histories.find((name) => name.endsWith('document-migration-paused-with-skips.json')) ?? '';
  const history = read(paused);
  const page = history.events.find(
    ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType.name === 'processPage',
  );
  if (!page?.activityTaskScheduledEventAttributes) throw new Error('the history has no page');
  page.activityTaskScheduledEventAttributes.activityType.name = 'closeJob';
  await expect(Worker.runReplayHistory(options, history)).rejects.toThrow(DeterminismViolationError);
});
