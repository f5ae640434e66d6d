import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { DeadLetter, JobAlert } from '../../packages/keystride/src/contract/alerts.ts';
import { endingOf, fails, Fixture, instanceOf } from '../conformance/fixture.ts';
import { control, until } from '../support/runs.ts';
import type { TestWorker } from '../support/stack.ts';
import { waitFor } from 'keystride/testing';

/** What a webhook is sent, and how it answers: with a status, or not at all. */
class Receiver {
  readonly #server: Server;
  readonly received: { path: string; body: string }[] = [];
  answers: number | 'hang' = 200;

  constructor() {
    this.#server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => (body += text));
      request.on('end', () => {
        this.received.push({ path: request.url ?? '', body });
        if (this.answers !== 'hang') response.writeHead(this.answers).end();
      });
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The messages about a run, of one kind. */
  of<Message extends JobAlert | DeadLetter>(run: string, path = '/alerts/t0ken'): Message[] {
    return this.received
      .filter((one) => one.path === path && one.body.includes(`run=${run},`))
      .map(({ body }) => JSON.parse(body) as Message);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

let fixture: Fixture;
let receiver: Receiver;
let url: string;
let worker: TestWorker;

beforeAll(async () => {
  fixture = await Fixture.open(false);
  receiver = new Receiver();
  url = await receiver.listen();
  worker = await workerWith({});
});

afterAll(async () => {
  receiver?.close();
  await fixture?.close();
});

beforeEach(() => {
  receiver.answers = 200;
});

function workerWith(environment: NodeJS.ProcessEnv): Promise<TestWorker> {
  return fixture.world.startWorker({
    environment: {
      ALERT_WEBHOOK_URL: `${url}/alerts/t0ken`,
      DEAD_LETTER_WEBHOOK_URL: `${url}/letters/t0ken`,
      TEMPORAL_UI_URL: 'http://ui.test',
      ...environment,
    },
  });
}

const item4 = fails('process', 4, { error: 'other' });

async function deadLetters(instance: string) {
  const { rows } = await fixture.pool.query<Record<string, string>>(
    'SELECT * FROM keystride.dead_letter WHERE instance_key = $1 ORDER BY created_at',
    [instance],
  );
  return rows;
}

test('a failed execution is told once, with counters, the failure and what to do', async () => {
  const { status, message } = await fixture.run('told', { faults: [item4] });
  expect(status).toBe('failed');
  const [alert] = await waitFor(
    () => receiver.of<JobAlert>('told').length > 0 && receiver.of<JobAlert>('told'),
  );
  const instance = instanceOf('told');
  expect(alert).toMatchObject({
    kind: 'failed',
    job: 'fixture',
    instance,
    step: 'items',
    partitions: [0],
    reason: message,
    steps: [
      { step: 'items', status: 'open', read: 2, written: 2, skipped: 0, partitions: { total: 1, done: 0 } },
    ],
    next: [
      expect.stringMatching(/^See it: npx keystride status fixture-/),
      expect.stringContaining('keystride start fixture --param run=told --param date=2025-10-01'),
    ],
    uiUrl: expect.stringMatching(/^http:\/\/ui\.test\/namespaces\//),
  });
  const [letter] = await waitFor(() => {
    const letters = receiver.of<DeadLetter>('told', '/letters/t0ken');
    return letters.length > 0 && letters;
  });
  expect(letter).toMatchObject({ kind: 'deadLetter', instance, step: 'items', key: '3', phase: 'process' });
  expect(await deadLetters(instance)).toMatchObject([
    { epoch: '1', step: 'items', partition: 0, item_key: '3', phase: 'process', attempts: 1 },
  ]);
  // A second execution that fails is a second failure.
  await fixture.run('told', { faults: [item4] });
  await waitFor(() => receiver.of('told').length === 2, { what: 'the second alert' });
  expect((await deadLetters(instance)).map(({ epoch }) => epoch)).toEqual(['1', '2']);
  await fixture.run('told');
  expect(receiver.of('told')).toHaveLength(2);
});

test('a webhook that answers 500 gets the alert when it is well again, and holds up nothing', async () => {
  receiver.answers = 500;
  const ending = await fixture.run('again', { faults: [item4] });
  expect(ending.status).toBe('failed');
  const { rows } = await fixture.pool.query('SELECT status FROM keystride.instance WHERE instance_key = $1', [
    instanceOf('again'),
  ]);
  expect(rows).toEqual([{ status: 'failed' }]);
  await waitFor(() => receiver.of('again').length >= 2, { what: 'a second attempt' });
  receiver.answers = 200;
  const closed = `WorkflowType = 'alert' AND ExecutionStatus = 'Completed'`;
  await waitFor(async () => (await alertsAbout('again', closed)).length === 1, { what: 'its delivery' });
  expect(await alertsAbout('again')).toHaveLength(1);
});

test('a webhook that never answers, or is not there, neither fails a job nor keeps it from closing', async () => {
  receiver.answers = 'hang';
  expect((await fixture.run('hangs', { faults: [item4] })).status).toBe('failed');
  // It has closed while the webhook still has the alert in hand.
  expect((await fixture.run('hangs')).status).toBe('completed');
  const gone = new Receiver();
  const address = await gone.listen();
  gone.close();
  await worker.stop();
  const lonely = await workerWith({ ALERT_WEBHOOK_URL: `${address}/s3cret-t0ken` });
  expect((await fixture.run('away', { faults: [item4] })).status).toBe('failed');
  const failure = await waitFor(() => lastFailure('away'), { what: 'an attempt to deliver' });
  expect(failure).toContain(`the webhook at ${new URL(address).host} did not answer (ECONNREFUSED)`);
  for (const told of [failure, await historyOf('away'), await readFile(lonely.logFile, 'utf8')])
    expect(told).not.toContain('t0ken');
  await lonely.stop();
});

test('a job that holds is told too, in the words of Slack', async () => {
  await workerWith({ ALERT_FORMAT: 'slack' });
  const handle = await fixture.start('holds', { faults: [item4] }, { job: 'fixtureHold' });
  await until(fixture.world, handle.workflowId, 'holding', 60_000);
  const text = await waitFor(() => slackText('holds'), { what: 'the alert' });
  expect(text).toContain(
    `*${instanceOf('holds', 'fixtureHold')}* :large_yellow_circle: holds in step items, partition 0`,
  );
  expect(text).toContain(
    `• Set aside the item that failed, and go on: npx keystride skip ${handle.workflowId}`,
  );
  expect(text).toContain('items open: read 2 · written 2 · filtered 0 · skipped 0');
  expect(text).toMatch(/<http:\/\/ui\.test\/[^|>]*\|Temporal UI>/);
  await control(handle, 'stop', 'enough');
  expect((await endingOf(handle)).status).toBe('stopped');
  const told = receiver.received.filter(({ body }) => body.includes('fixtureHold:run=holds'));
  expect(told.filter(({ path }) => path.startsWith('/alerts'))).toHaveLength(1);
});

test('a scheduled job that cannot even start is told', async () => {
  const handle = await fixture.world.start('scheduledJob', {
    job: 'fixture',
    parameters: { run: 'unstarted', date: 'not a date' },
  });
  expect((await endingOf(handle)).type).toBe('JobParametersInvalid');
  await waitFor(
    () => receiver.received.some(({ body }) => body.includes('was not started') && body.includes('date')),
    { what: 'the alert' },
  );
});

/** The text of the Slack message about a run. */
function slackText(run: string): string | undefined {
  const found = receiver.received.find(
    ({ path, body }) => path.startsWith('/alerts') && body.includes(`run=${run},`),
  );
  return found && (JSON.parse(found.body) as { text: string }).text;
}

/** Why an alert about a run could not be delivered yet. */
async function lastFailure(run: string): Promise<string | undefined> {
  for (const handle of await alertsAbout(run)) {
    const { raw } = await handle.describe();
    const message = raw.pendingActivities?.[0]?.lastFailure?.message;
    if (message) return message;
  }
  return undefined;
}

/** Everything that Temporal keeps of the alerts about a run. */
async function historyOf(run: string): Promise<string> {
  const histories = (await alertsAbout(run)).map(async (handle) => decoded(await handle.fetchHistory()));
  return (await Promise.all(histories)).join('\n');
}

async function alertsAbout(run: string, query = `WorkflowType = 'alert'`): Promise<WorkflowHandle[]> {
  const found: WorkflowHandle[] = [];
  for await (const { workflowId } of fixture.world.client.workflow.list({ query })) {
    const handle = fixture.world.client.workflow.getHandle(workflowId);
    if (workflowId.startsWith('alert:') && decoded(await handle.fetchHistory()).includes(`run=${run},`))
      found.push(handle);
  }
  return found;
}

/** A history with the payloads in it made readable. */
function decoded(history: unknown): string {
  return JSON.stringify(history).replaceAll(/"data":"([^"]*)"/gu, (_, data: string) =>
    Buffer.from(data, 'base64').toString('utf8'),
  );
}
