import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRuns } from '../../packages/keystride/src/host/open-runs.ts';
import { openStores, type Stores } from '../support/migration.ts';
import { control, failureOf, reportOf, until } from '../support/runs.ts';
import { emptyShop, onBothSides, plain, rowsOf } from '../support/shop.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

/** Two namespaces of Temporal upon one ledger: neither takes what runs in the other for dead. */

let one: World;
let other: World;
let stores: Stores;

beforeAll(async () => {
  [one, other] = await Promise.all([createWorld(), createWorld()]);
  stores = openStores(one);
  const { databaseUrl, sourceDatabaseUrl } = one;
  await one.startWorker();
  await other.startWorker({
    environment: { DATABASE_URL: databaseUrl, SOURCE_DATABASE_URL: sourceDatabaseUrl },
  });
});

afterAll(async () => {
  await stores?.close();
  await Promise.all([one?.dispose(), other?.dispose()]);
});

test('what runs in one namespace is not taken over from another, whatever its workflow is called', async () => {
  await emptyShop(stores);
  await onBothSides(stores, plain);
  await stores.service.query(`INSERT INTO shop.k VALUES (1, 'one')`);
  const sink = await stores.migration.connect();
  await sink.query('BEGIN; LOCK TABLE shop.k');
  const running = await one.start('tableSync', { source: 'shop.k' });
  await waitFor(async () => (await one.progress(running.workflowId)).steps.length > 0);
  await control(running, 'pause');
  await sink.query('ROLLBACK');
  sink.release();
  await until(one, running.workflowId, 'paused');
  const { namespace } = one.client.options;
  for (const workflowId of [running.workflowId, 'another']) {
    const second = await other.client.workflow.start('tableSync', {
      ...{ taskQueue: other.taskQueue, workflowId, args: [{ source: 'shop.k' }] },
    });
    expect(await failureOf(second)).toMatchObject({
      type: 'JobExecutionAlreadyRunning',
      message: expect.stringContaining(
        `as workflow ${running.workflowId} of namespace ${namespace}`,
      ) as string,
    });
  }
  await control(running, 'resume');
  expect((await reportOf(running)).status).toBe('completed');
  expect(await rowsOf(stores.migration)).toEqual(await rowsOf(stores.service));
});

test('a run of a namespace that cannot be asked counts as alive, until that namespace is said to be gone', async () => {
  const { connection } = one.client;
  const asked = (formerNamespaces: readonly string[]) =>
    openRuns({ connection, namespace: one.client.options.namespace, formerNamespaces })('a run', 'elsewhere');
  await expect(asked([])).rejects.toThrow(/KEYSTRIDE_FORMER_NAMESPACES=elsewhere/u);
  expect(await asked(['elsewhere'])).toBe(false);
});
