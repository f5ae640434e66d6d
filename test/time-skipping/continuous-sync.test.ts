import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { messages } from '../../packages/keystride/src/contract/messages.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { openStores, type Stores } from '../support/migration.ts';
import { control, reportOf, stepOf } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';
import { startTimeSkippingServer, type TimeSkippingServer } from 'keystride/testing';

/** What passes at a time, in milliseconds: while a sync waits for changes, it is as long as by our clock. */
const moment = 10_000;

let temporal: TimeSkippingServer;
let world: World;
let stores: Stores;
let client: Client;
let sourceUrl: URL;
let sourcePort: number;
let way: Server | undefined;
const open = new Set<Socket>();

/** Lets the worker reach its source, under an address of its own. */
async function openTheWay(port: number): Promise<number> {
  way = createServer((socket) => {
    const onward = connect(Number(sourceUrl.port), sourceUrl.hostname);
    for (const end of [socket, onward]) {
      open.add(end);
      end.on('error', () => undefined).on('close', () => open.delete(end));
    }
    socket.pipe(onward).pipe(socket);
  }).listen(port, '127.0.0.1');
  await once(way, 'listening');
  return (way.address() as { port: number }).port;
}

function closeTheWay(): void {
  way?.close();
  for (const socket of open) socket.destroy();
}

beforeAll(async () => {
  temporal = await startTimeSkippingServer();
  client = new Client({ connection: temporal.connection });
  world = await createWorld();
  stores = openStores(world);
  sourceUrl = new URL(world.sourceDatabaseUrl);
  sourcePort = await openTheWay(0);
  const through = new URL(sourceUrl);
  through.hostname = '127.0.0.1';
  through.port = String(sourcePort);
  await world.startWorker({
    environment: {
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: 'default',
      SOURCE_DATABASE_URL: through.href,
    },
  });
});

afterAll(async () => {
  closeTheWay();
  await stores?.close();
  await world?.dispose();
  await temporal?.stop();
});

const add = (first: number, last: number) =>
  stores.service.query(
    `INSERT INTO legacy_document (ticket_key) SELECT 'T-' || n FROM generate_series($1::int, $2::int) AS n`,
    [first, last],
  );

async function copied(count: number): Promise<void> {
  await waitFor(
    async () => {
      await temporal.pass(moment);
      return (await stores.migration.query('SELECT FROM migration_target')).rowCount === count;
    },
    { what: `${count} targets`, everyMs: 50, timeoutMs: 120_000 },
  );
}

const failedPolls = async () =>
  (await stores.migration.query(`SELECT FROM keystride.instance WHERE status = 'failed'`)).rowCount ?? 0;

test(
  'a continuous sync goes on when a source was away for longer than a poll is tried',
  { timeout: 300_000 },
  async () => {
    await add(1, 50);
    const handle = await client.workflow.start('targetSync', {
      ...{ taskQueue: world.taskQueue, workflowId: 'continuous' },
      args: [{ mode: 'incrementing', poll: 'continuous', pollSeconds: 1 }],
    });
    await copied(50);
    closeTheWay();
    await add(51, 60);
    await waitFor(
      async () => {
        await temporal.pass(moment);
        return (await failedPolls()) >= 3;
      },
      { what: 'three polls that failed for good', everyMs: 50, timeoutMs: 240_000 },
    );
    const meanwhile = await handle.query<JobProgress>(messages.progress);
    expect(meanwhile).toMatchObject({ status: 'running' });
    await openTheWay(sourcePort);
    await copied(60);
    await control(handle, 'stop');
    const report = await reportOf(handle);
    expect(report.status).toBe('stopped');
    expect(stepOf(report, 'poll').kind).toBe('job');
  },
);

test('what is no accident ends it: a poll whose parameters the database contradicts', async () => {
  const handle = await client.workflow.start('tableSync', {
    ...{ taskQueue: world.taskQueue, workflowId: 'contradicted' },
    args: [{ source: 'nowhere', poll: 'continuous', pollSeconds: 30 }],
  });
  await expect(handle.result()).rejects.toMatchObject({
    cause: { type: 'JobParametersInvalid', message: expect.stringMatching(/no table nowhere/u) },
  });
});
