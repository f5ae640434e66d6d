import { readFile } from 'node:fs/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWorld, type TestWorker, type World } from './support/stack.ts';

let world: World;
let ofAll: TestWorker;
let left: TestWorker;
let run: WorkflowHandle;

beforeAll(async () => {
  world = await createWorld();
  ofAll = await world.startWorker({ environment: { KEYSTRIDE_TASK_QUEUE: 'of-all' } });
});

afterAll(() => world?.dispose());

test.fails('a test that fails in the middle', async () => {
  left = await world.startWorker();
  run = await world.start('scheduledJob', {}, 'left-behind');
  await ofAll.kill('SIGSTOP');
  expect.fail('as told');
});

test('what a failed test has started has ended, and what it has frozen goes on', async () => {
  expect(left.pid).toBeUndefined();
  expect((await run.describe()).status.name).not.toBe('RUNNING');
  expect(await stateOf(ofAll)).not.toBe('T');
});

/** The letter that Linux gives the state of a process: T for one that is stopped. */
async function stateOf({ pid }: TestWorker): Promise<string | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return /^State:\s+(\w)/mu.exec(status)?.[1];
}
