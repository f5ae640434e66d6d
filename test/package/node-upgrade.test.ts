import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refusalsIn } from '../support/history.ts';
import { addTargets, expectMigrated, ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { installOldestNode } from '../support/npm.ts';
import { reportOf, stepOf } from '../support/runs.ts';
import { createWorld, type TestWorker, waitFor, type World } from '../support/stack.ts';

const present = process.execPath;
const documents = 200;

let place: string;
let older: string;
let world: World;
let stores: Stores;

beforeAll(async () => {
  place = mkdtempSync(path.join(tmpdir(), 'keystride-node-'));
  older = path.join(installOldestNode(place), 'node');
  world = await createWorld({ legacyApi: ['--latency=200'] });
  stores = openStores(world);
  await addTargets(stores, documents);
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
  rmSync(place, { recursive: true, force: true });
});

/** A worker on that Node. */
async function workerOn(node: string): Promise<TestWorker> {
  process.execPath = node;
  try {
    const worker = await world.startWorker();
    expect(readlinkSync(`/proc/${worker.pid}/exe`)).toContain(path.dirname(path.dirname(node)));
    return worker;
  } finally {
    process.execPath = present;
  }
}

const read = async () => (await ledgerCounters(stores, 'fetchAndStore')).read;

/** Lets a worker on that Node go on with the run, and kills it. */
async function goOn(node: string): Promise<void> {
  const before = await read();
  const worker = await workerOn(node);
  await waitFor(async () => (await read()) > before, {
    what: 'more documents to be read',
    timeoutMs: 60_000,
  });
  await worker.kill();
}

test('a run goes on where workers move to the next major version of Node, and back', async () => {
  const handle = await world.start('documentMigration', { inFlight: 10 });
  await goOn(older);
  await goOn(present);
  expect(await read(), 'it is in the middle').toBeLessThan(documents);
  await workerOn(older);
  const report = await reportOf(handle);
  expect(report.status).toBe('completed');
  expect(stepOf(report, 'fetchAndStore')).toMatchObject({ read: documents, written: documents });
  await expectMigrated(stores, { documents });
  const { events } = await handle.fetchHistory();
  expect(refusalsIn(events ?? [])).toEqual([]);
});
