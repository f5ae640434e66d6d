import { randomBytes } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { waitFor } from 'keystride/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Namespace,
  retentionSeconds,
  searchAttributesIn,
  type ServedQueue,
  servedQueue,
  temporalClock,
  temporalVersion,
  workersOf,
} from '../../packages/keystride/src/doctor/temporal.ts';
import { createWorld, type World } from '../support/stack.ts';
import { keystride } from '../cli/support.ts';

let world: World;
let connection: Connection;
let here: Namespace;
let client: Client;

beforeAll(async () => {
  world = await createWorld();
  connection = await Connection.connect({ address: world.temporalAddress });
  here = { connection, namespace: world.namespace };
  client = new Client(here);
});

afterAll(async () => {
  await connection?.close();
  await world?.dispose();
});

interface Told {
  readonly findings: readonly { readonly check: string; readonly mark: string; readonly what: string }[];
}

const doctor = (environment: NodeJS.ProcessEnv = {}) =>
  keystride(['doctor', '-o', 'json'], { ...world.environment, ...environment });

test('nobody who polls is a warning as long as nothing waits, and bad when something does', async () => {
  expect(workersOf(await servedQueue(client, world.taskQueue))).toMatchObject({
    mark: 'warn',
    todo: expect.stringContaining('keystride worker') as string,
  });
  await world.start('evenNumbers', { from: 1, to: 100 });
  const queue = await waitFor(async () => {
    const found = await servedQueue(client, world.taskQueue);
    return found.open > 0 && found;
  });
  expect(workersOf(queue)).toMatchObject({
    mark: 'bad',
    what: `nobody polls task queue ${world.taskQueue}, and 1 run is open on it`,
  });
  const { exitCode, json } = await doctor();
  expect(exitCode).toBe(1);
  expect((json() as Told).findings.filter(({ mark }) => mark === 'bad').map(({ check }) => check)).toEqual([
    'workers',
  ]);
});

test('with a worker all is well, each thing on its line', async () => {
  await world.startWorker();
  const queue = await waitFor(async () => {
    const found = await servedQueue(client, world.taskQueue);
    return found.pollers.some(({ takes }) => takes.length === 2) && found;
  });
  expect(workersOf(queue)).toMatchObject({ mark: 'ok' });
  expect(queue.pollers).toMatchObject([{ build: expect.any(String) as string }]);
  expect(temporalClock([queue])).toMatchObject({ mark: 'ok' });
  expect(temporalClock([queue], Date.now() - 30_000)).toMatchObject({ mark: 'warn' });
  expect(temporalClock([queue], Date.now() + 600_000)).toMatchObject({ mark: 'bad' });
  expect(await temporalVersion(here)).toMatchObject({ mark: 'ok' });

  const { exitCode, json } = await doctor();
  const { findings } = json() as Told;
  expect(findings.filter(({ mark }) => mark === 'bad')).toEqual([]);
  expect(exitCode).toBe(0);
  for (const check of [
    'versions',
    'connections',
    'clock',
    'grants',
    'readers',
    'search attributes',
    'retention',
  ])
    expect(findings.map((finding) => finding.check)).toContain(check);
  for (const name of ['Temporal', 'DATABASE_URL', 'service', 'mongo'])
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: 'connections',
        what: expect.stringMatching(`^${name} answers`) as string,
      }),
    );
});

test('workers of two builds are told where runs are not kept with theirs', () => {
  const poller = (identity: string, build: string): ServedQueue['pollers'][number] => ({
    ...{ identity, build, lastSeenAt: new Date().toISOString() },
    ...{ versioned: false, takes: ['workflows', 'activities'] },
  });
  const pollers = [poller('a', '1'), poller('b', '2')];
  const told = (change: Partial<ServedQueue['pollers'][number]>) =>
    workersOf({ taskQueue: 'q', open: 0, pollers: pollers.map((one) => ({ ...one, ...change })) });
  expect(told({})).toMatchObject({
    mark: 'warn',
    what: expect.stringContaining('build 1, 2') as string,
  });
  expect(told({ versioned: true })).toMatchObject({ mark: 'ok' });
  expect(told({ takes: ['workflows'] })).toMatchObject({
    mark: 'warn',
    what: expect.stringContaining('a part of the work alone') as string,
  });
});

test('search attributes that are missing are told, and registered by --fix', async () => {
  const namespace = `keystride-test-${randomBytes(5).toString('hex')}`;
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: msToTs('2 days'),
  });
  const bare = { connection, namespace };
  await waitFor(() => connection.operatorService.listSearchAttributes({ namespace }));
  expect(await retentionSeconds(bare)).toBe(2 * 86_400);
  expect(await searchAttributesIn(bare, false)).toMatchObject({
    mark: 'warn',
    what: expect.stringContaining(
      'KeystrideJob, KeystrideStatus, KeystrideSkipped, KeystrideBusinessDate',
    ) as string,
    todo: expect.stringContaining('doctor --fix') as string,
  });
  expect(await searchAttributesIn(bare, true)).toMatchObject({ mark: 'ok' });
  expect(
    await waitFor(async () => {
      const found = await searchAttributesIn(bare, false);
      return found.mark === 'ok' && found;
    }),
  ).toMatchObject({ mark: 'ok' });
});

test('what is away is told with what helps, and no driver speaks', async () => {
  const { exitCode, stdout } = await keystride(['doctor'], {
    ...world.environment,
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    LEGACY_API_URL: 'http://127.0.0.1:1',
    SOURCE_DATABASE_URL: 'postgres://somebody:some-secret@127.0.0.1:1/service',
  });
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/^bad {3}connections\s+Temporal does not answer \(127\.0\.0\.1:1\)$/mu);
  expect(stdout).toMatch(/^bad {3}connections\s+the source database: .*127\.0\.0\.1:1/mu);
  expect(stdout).toMatch(/^\s+to do: .*SOURCE_DATABASE_URL/mu);
  expect(stdout).toMatch(/^ok {4}connections\s+DATABASE_URL answers/mu);
  expect(stdout).not.toMatch(/connect ECONNREFUSED|some-secret|\bat .*\.ts/u);
});

test('Temporal on another machine without TLS is not asked, and the rest is looked at', async () => {
  const { exitCode, stdout } = await keystride(['doctor'], {
    ...world.environment,
    TEMPORAL_ADDRESS: '192.0.2.1:7233',
  });
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/^bad {3}connections\s+TEMPORAL_ADDRESS is 192\.0\.2\.1, .* not be encrypted/mu);
  expect(stdout).toMatch(/^ok {4}connections\s+DATABASE_URL answers/mu);
});

test('settings that are missing are told as bad, not thrown', async () => {
  const { exitCode, stdout } = await keystride(['doctor']);
  expect(exitCode).toBe(1);
  expect(stdout).toContain('TEMPORAL_ADDRESS is not set');
  expect(stdout).toContain('DATABASE_URL is not set');
});
