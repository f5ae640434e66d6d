import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../packages/keystride/src/dev/ports.ts';
import { serveHealth } from '../../packages/keystride/src/host/health.ts';
import { installRuntime } from '../../packages/keystride/src/host/metrics.ts';
import { gatedTable } from '../support/jobs/gated.ts';
import { createWorld, testJobsWorker, type TestWorker, waitFor, type World } from '../support/stack.ts';

let world: World;
let address: string;
let worker: TestWorker;

beforeAll(async () => {
  world = await createWorld({ workerProgram: testJobsWorker, ownServers: true });
  await world.database.query(gatedTable);
  address = `127.0.0.1:${await freePort()}`;
  worker = await world.startWorker({ environment: { KEYSTRIDE_HEALTH: address } });
});

afterAll(() => world?.dispose());

async function probe(path: 'healthz' | 'readyz'): Promise<{ status: number; problems: string[] }> {
  const response = await fetch(`http://${address}/${path}`);
  const { problems } = (await response.json()) as { problems: string[] };
  return { status: response.status, problems };
}

const fine = { status: 200, problems: [] };

const readyWith = (problem: string) =>
  waitFor(async () => (await probe('readyz')).problems.includes(problem), { what: problem });

test('a worker that polls is alive and ready; other paths and methods are none', async () => {
  expect([await probe('healthz'), await probe('readyz')]).toEqual([fine, fine]);
  expect((await fetch(`http://${address}/`)).status).toBe(404);
  expect((await fetch(`http://${address}/healthz`, { method: 'POST' })).status).toBe(405);
});

test('a worker whose ledger or Temporal is away is alive and not ready, until they are back', async () => {
  await world.servers.postgres.kill();
  await readyWith('the ledger does not answer');
  expect(await probe('healthz')).toEqual(fine);
  await world.servers.postgres.restart();
  await waitFor(async () => (await probe('readyz')).status === 200, { what: 'the ledger to be back' });
  await world.servers.temporal.kill();
  await readyWith('Temporal does not answer');
  expect(await probe('healthz')).toEqual(fine);
  await world.servers.temporal.restart();
  await waitFor(async () => (await probe('readyz')).status === 200, { what: 'Temporal to be back' });
});

test('a worker that is asked to end is not ready from then on, and alive until its page has committed', async () => {
  // A chunk of two items takes four seconds.
  const slow = { items: 40, chunkSize: 2, millisecondsOfSquare: 1_000, pageSeconds: 60 };
  const handle = await world.start('gated', { run: 'drained', ...slow });
  const begun = async () => {
    const { pendingActivities } = (await handle.describe()).raw;
    return pendingActivities?.some(
      ({ activityType, lastHeartbeatTime }) => activityType?.name === 'processPage' && lastHeartbeatTime,
    );
  };
  await waitFor(begun, { what: 'the page to begin' });
  expect(await probe('readyz')).toEqual(fine);
  const ended = worker.kill('SIGTERM');
  await readyWith('draining');
  expect(await probe('readyz')).toEqual({ status: 503, problems: ['draining'] });
  expect(await probe('healthz')).toEqual(fine);
  await ended;
  await handle.terminate();
});

test('an address that is taken is named with its variable', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as { port: number };
  await expect(serveHealth(`127.0.0.1:${port}`)).rejects.toThrow(
    new RegExp(
      `KEYSTRIDE_HEALTH cannot be listened on: 127.0.0.1:${port} .*EADDRINUSE.*an address of its own`,
      'u',
    ),
  );
  expect(() => installRuntime({}, `127.0.0.1:${port}`)).toThrow(
    new RegExp(`KEYSTRIDE_METRICS cannot be listened on: 127.0.0.1:${port}.* an address of its own`, 'u'),
  );
});
