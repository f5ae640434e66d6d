import { spawn } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { historiesOf, type PageRun, pagesOf } from '../support/history.ts';
import { control, reportOf, stepOf } from '../support/runs.ts';
import { endWhenTestFails } from 'keystride/testing/vitest';
import { createWorld, testJobsWorker, type TestWorker, waitFor, type World } from '../support/stack.ts';

let world: World;

beforeAll(async () => {
  world = await createWorld({ workerProgram: testJobsWorker });
});

afterAll(() => world?.dispose());

const queues = { KEYSTRIDE_QUEUES: 'scriptedItems=items,evenNumbers=numbers' };

/** Seconds of pages that each process has had, of a workflow and all that it has started. */
async function secondsByProcess(workflowId: string): Promise<Record<string, number>> {
  const seconds: Record<string, number> = {};
  for (const page of (await historiesOf(world.client, workflowId)).flatMap(pagesOf)) {
    const [pid = ''] = page.worker.split('@');
    seconds[pid] = (seconds[pid] ?? 0) + page.seconds;
  }
  return seconds;
}

function queueOf(workflowId: string): Promise<string> {
  return world.client.workflow
    .getHandle(workflowId)
    .describe()
    .then(({ taskQueue }) => taskQueue);
}

test('a second worker that is started in the middle takes over pages', async () => {
  const first = await world.startWorker();
  const slow = { slow: 'processor', chunkSize: 5, chunkMilliseconds: 250, concurrency: 4, partitions: 4 };
  // Far more than there is time for: it goes on until the second one has had pages, and is stopped then.
  const handle = await world.start('slowParts', { ...slow, run: 'shared', chunks: 100_000, pageSeconds: 1 });
  const hasPages = async ({ pid }: TestWorker) =>
    (await secondsByProcess(handle.workflowId))[String(pid)] !== undefined;
  await waitFor(() => hasPages(first), { everyMs: 250, what: 'pages of the first worker' });
  const second = await world.startWorker();
  await waitFor(() => hasPages(second), { everyMs: 250, what: 'pages of the second worker' });
  await control(handle, 'stop');
  const { status, steps } = await reportOf(handle);
  expect({ status, steps }).toMatchObject({ status: 'stopped', steps: [{ step: 'items' }] });
  await Promise.all([first.stop(), second.stop()]);
});

/** The most pages of a run that were under way at the same time. */
async function pagesAtATime(workflowId: string): Promise<number> {
  const pages = (await historiesOf(world.client, workflowId)).flatMap(pagesOf);
  const under = ({ startedAt }: PageRun) =>
    pages.filter((page) => page.startedAt <= startedAt && startedAt < page.startedAt + page.seconds * 1000);
  return Math.max(...pages.map((page) => under(page).length));
}

/** Keeps a tenth of a processor busy, for a minute at most. @returns how to end it */
function keepBusy(): () => void {
  const spin = 'setInterval(() => { const end = Date.now() + 5; while (Date.now() < end); }, 50)';
  const busy = spawn(process.execPath, ['-e', `${spin}; setTimeout(() => process.exit(), 60_000)`]);
  endWhenTestFails(async () => busy.kill());
  return () => busy.kill();
}

// Of a machine at work more than a thousandth is always in use.
test.each(['ACTIVITIES=2', 'TARGET_CPU=0.001'])(
  'a worker with KEYSTRIDE_%s takes two pages at a time, and does four partitions by and by',
  async (setting) => {
    const [name = '', value = ''] = setting.split('=');
    const rest = keepBusy();
    const worker = await world.startWorker({
      environment: { KEYSTRIDE_TASK_QUEUE: name, [`KEYSTRIDE_${name}`]: value },
    });
    const slow = { slow: 'processor', chunkSize: 5, chunkMilliseconds: 250, concurrency: 4, partitions: 4 };
    const told = { ...slow, run: setting, chunks: 4 * 4 };
    const { workflowId } = await world.client.workflow.start('slowParts', {
      ...{ taskQueue: name, workflowId: setting, args: [told] },
    });
    const report = await reportOf(world.client.workflow.getHandle(workflowId));
    expect(stepOf(report, 'items')).toMatchObject({ read: 80, written: 80 });
    expect(await pagesAtATime(workflowId)).toBe(2);
    rest();
    await worker.stop();
  },
);

test('runs of a job go to its queue, from wherever they are started, and to the workers that poll it', async () => {
  const others = await world.startWorker({
    environment: { ...queues, KEYSTRIDE_WORKER_QUEUES: 'keystride' },
  });
  const dedicated = await world.startWorker({
    environment: {
      ...queues,
      KEYSTRIDE_WORKER_QUEUES: 'items,numbers',
      // It takes what it is given on a machine that is busy too.
      ...{ KEYSTRIDE_TARGET_CPU: '0.2', KEYSTRIDE_ACTIVITIES: '4' },
    },
  });
  const only = (worker: TestWorker) => [String(worker.pid)];

  const parent = await world.start('nestedItems', { run: 1, items: 20, inARow: 0 });
  expect((await reportOf(parent)).status).toBe('completed');
  const [own, nested] = await historiesOf(world.client, parent.workflowId);
  expect(await queueOf(nested?.workflowId ?? '')).toBe('items');
  expect(pagesOf(own ?? { events: [] }).map(({ worker }) => worker.split('@')[0])).toEqual(only(others));
  expect(pagesOf(nested ?? { events: [] }).map(({ worker }) => worker.split('@')[0])).toEqual(
    only(dedicated),
  );

  const environment = { ...world.environment, ...queues };
  const started = await keystride(['start', 'evenNumbers', '-o', 'json'], environment);
  const { workflowId, taskQueue } = started.json() as { workflowId: string; taskQueue: string };
  expect(taskQueue).toBe('numbers');
  await waitFor(async () => (await world.progress(workflowId)).status === 'completed');
  expect(Object.keys(await secondsByProcess(workflowId))).toEqual(only(dedicated));

  const create = [
    'schedule',
    'create',
    'evenNumbers',
    '--cron',
    '0 3 1 1 *',
    '--id',
    'numbers',
    '-o',
    'json',
  ];
  expect((await keystride(create, environment)).exitCode).toBe(0);
  const { action } = await world.client.schedule.getHandle('numbers').describe();
  expect(action.taskQueue).toBe('numbers');
  await Promise.all([others.stop(), dedicated.stop()]);
});

test('one worker serves all queues unless it is told which', async () => {
  const worker = await world.startWorker({ environment: queues });
  const parent = await world.start('nestedItems', { run: 2, items: 20, inARow: 0 });
  expect((await reportOf(parent)).status).toBe('completed');
  expect(Object.keys(await secondsByProcess(parent.workflowId))).toEqual([String(worker.pid)]);
  await worker.stop();
});

test('a queue that nobody polls is named with the start', async () => {
  const environment = { ...world.environment, KEYSTRIDE_QUEUES: 'evenNumbers=nobodys' };
  const { exitCode, stderr } = await keystride(['start', 'evenNumbers', '--id', 'waits'], environment);
  expect(exitCode).toBe(0);
  expect(stderr).toContain('no worker polls task queue nobodys');
});
