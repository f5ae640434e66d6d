import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DeterminismViolationError } from '@temporalio/workflow';
import { DefaultLogger, Runtime, Worker, type ReplayWorkerOptions } from '@temporalio/worker';
import { beforeAll, expect, test } from 'vitest';
import { bundleFor } from './support/workflow-bundle.ts';
import { productWorker } from './support/stack.ts';

const folder = path.join(import.meta.dirname, 'histories');
const histories = readdirSync(folder).filter((name) => name.endsWith('.json'));

let options: ReplayWorkerOptions;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  options = { workflowBundle: { codePath: await bundleFor(productWorker) } };
});

interface RecordedEvent {
  activityTaskScheduledEventAttributes?: { activityType: { name: string } };
}

function read(name: string): { events: RecordedEvent[] } {
  return JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as { events: RecordedEvent[] };
}

test('there is a history of each kind of run', () => {
  expect(histories.length).toBeGreaterThanOrEqual(8);
});

/** As the run was called: the ids of its children begin with it. */
const workflowIds: Readonly<Record<string, string>> = { 'target-sync-partitions.json': 'targetSync' };

test.for(histories)('%s replays with the workflows of today', async (name) => {
  await Worker.runReplayHistory(options, read(name), workflowIds[name]);
});

test('a workflow that does something else than its history is noticed', async () => {
  const history = read('document-migration-paused-with-skips.json');
  const page = history.events.find(
    ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType.name === 'processPage',
  );
  if (!page?.activityTaskScheduledEventAttributes) throw new Error('the history has no page');
  page.activityTaskScheduledEventAttributes.activityType.name = 'closeJob';
  await expect(Worker.runReplayHistory(options, history)).rejects.toThrow(DeterminismViolationError);
});
