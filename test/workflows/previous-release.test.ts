import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { addTargets, expectMigrated, ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { control, reportOf, stepOf, until } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

/** The workflows as the last release has them, kept by `record.ts` there. The work behind them is the present one's. */
const histories = path.join(import.meta.dirname, '../histories');
const [released = ''] = globSync('*/workflows.js.br', { cwd: histories });

const documents = 200;

let world: World;
let stores: Stores;
let workflows: string;

beforeAll(async () => {
  workflows = path.join(inject('keystride').bundles, `released-${process.pid}.js`);
  writeFileSync(workflows, brotliDecompressSync(readFileSync(path.join(histories, released))));
  world = await createWorld({ legacyApi: ['--latency=200'] });
  stores = openStores(world);
  await addTargets(stores, documents);
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

function hasRead(least: number): Promise<boolean> {
  return waitFor(async () => (await ledgerCounters(stores, 'fetchAndStore')).read >= least, {
    what: `${least} documents to be read`,
  });
}

test(`a run that the workflows of ${path.dirname(released)} have begun is ended by the present ones`, async () => {
  const before = await world.startWorker({ environment: { KEYSTRIDE_WORKFLOW_BUNDLE: workflows } });
  const handle = await world.start('documentMigration', { inFlight: 10 });
  await hasRead(1);
  await control(handle, 'pause', 'to have it in the history');
  await until(world, handle.workflowId, 'paused');
  await control(handle, 'resume');
  const { read } = await ledgerCounters(stores, 'fetchAndStore');
  await hasRead(read + 1);
  await before.kill();
  expect((await ledgerCounters(stores, 'fetchAndStore')).read, 'it is in the middle').toBeLessThan(documents);

  await world.startWorker();
  const report = await reportOf(handle);
  expect(report.status).toBe('completed');
  expect(stepOf(report, 'fetchAndStore')).toMatchObject({ read: documents, written: documents });
  await expectMigrated(stores, { documents });
  const { events } = await handle.fetchHistory();
  const refused = events?.filter((event) => event.workflowTaskFailedEventAttributes) ?? [];
  expect(refused.map((event) => event.workflowTaskFailedEventAttributes?.failure?.message)).toEqual([]);
});
