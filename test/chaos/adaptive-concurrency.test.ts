import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Decision } from '../../packages/keystride/src/contract/progress.ts';
import {
  addTargets,
  configureLegacyApi,
  ledgerCounters,
  openStores,
  type Stores,
} from '../support/migration.ts';
import { control, reportOf } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

/** What the API can take at a time, and does not say. */
const capacity = 80;

/** Long enough that the API is what limits the job. In milliseconds. */
const latency = 250;

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld({
    legacyApi: [`--latency=${latency}`, '--jitter=25', `--max-concurrent=${capacity}`, '--sizes=1KiB'],
  });
  stores = openStores(world);
  await addTargets(stores, 45_000);
  await world.startWorker();
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

test('a job finds out how many calls an API takes, keeps to that, and follows when it changes', async () => {
  const job = await world.start('documentMigration', { inFlight: 250 });
  await decided(job, capacity);
  expect(await refusedShare(2_000)).toBeLessThan(0.01);

  await configureLegacyApi(world, { maxConcurrent: capacity / 2 });
  await decided(job, capacity / 2);
  expect(await refusedShare(1_000)).toBeLessThan(0.03);

  await control(job, 'stop');
  await reportOf(job).catch(() => undefined);
  const { written, skipped } = await ledgerCounters(stores, 'fetchAndStore');
  const { rows } = await stores.migration.query('SELECT FROM preprocess_job');
  expect({ written, skipped }).toEqual({ written: rows.length, skipped: 0 });
});

/** Of so many answers that the API gives from now on, how many say that it has too much to do: a share. */
async function refusedShare(least: number): Promise<number> {
  const before = await answers();
  const since = async () => {
    const { served, refused } = await answers();
    return { all: served + refused - before.served - before.refused, refused: refused - before.refused };
  };
  await waitFor(async () => (await since()).all >= least, { what: 'answers of the API', timeoutMs: 60_000 });
  const { all, refused } = await since();
  return refused / all;
}

async function answers(): Promise<{ served: number; refused: number }> {
  const statistics = (await world.legacyApiStatistics()) as unknown as { answers: Record<string, number> };
  return { served: statistics.answers['200'] ?? 0, refused: statistics.answers['429'] ?? 0 };
}

/** Waits until the job says that it has found this level, and why. What is out here is a little more than what the API counts. */
async function decided({ workflowId }: { readonly workflowId: string }, level: number): Promise<void> {
  const found = async () => {
    const step = (await world.progress(workflowId)).steps.find((each) => each.step === 'fetchAndStore');
    return step?.decisions?.findLast(({ what }) => what === 'concurrency');
  };
  const near = ({ to, reason }: Decision) =>
    to !== null && to >= 0.75 * level && to <= 1.4 * level && /^HTTP 429 for \d+ of \d+ calls$/u.test(reason);
  await waitFor(async () => found().then((decision) => decision !== undefined && near(decision)), {
    what: `a decision near ${level}`,
    timeoutMs: 120_000,
  });
}
