import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Decision } from '../../packages/keystride/src/contract/progress.ts';
import {
  addTargets,
  configureLegacyApi,
  ledgerCounters,
  openStores,
  type Stores,
} from '../support/migration.ts';
import { control, reportOf, stepOf } from '../support/runs.ts';
import { createWorld, type World } from '../support/stack.ts';

/** What the API can take at a time, and does not say. */
const capacity = 80;

/** Long enough that the API is what limits the job, and a second still is several round trips. */
const latency = 250;

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld({
    legacyApi: [`--latency=${latency}`, '--jitter=25', `--max-concurrent=${capacity}`, '--sizes=1KiB'],
  });
  stores = openStores(world);
  await addTargets(stores, 12_000);
  await world.startWorker();
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

test('a job finds out how many calls an API takes, keeps to that, and follows when it changes', async () => {
  const fixed = await world.start('documentMigration', { inFlight: capacity });
  const best = await observe({ after: 1_500, milliseconds: 3_000 });
  await control(fixed, 'stop');
  await reportOf(fixed).catch(() => undefined);

  const adaptive = await world.start('documentMigration', { inFlight: 250 });
  const found = await observe({ after: 3_000, milliseconds: 5_000 });
  expect(found.refusedShare).toBeLessThan(0.01);
  expect(found.perSecond).toBeGreaterThan(0.85 * best.perSecond);

  await configureLegacyApi(world, { maxConcurrent: capacity / 2 });
  const followed = await observe({ after: 3_000, milliseconds: 4_000 });
  expect(followed.refusedShare).toBeLessThan(0.03);
  expect(followed.perSecond).toBeGreaterThan((0.85 * best.perSecond) / 2);

  await control(adaptive, 'stop');
  await reportOf(adaptive).catch(() => undefined);
  const { decisions = [] } = stepOf(await world.progress(adaptive.workflowId), 'fetchAndStore');
  expectDecided(decisions, capacity);
  expectDecided(decisions, capacity / 2);
  const { written, skipped } = await ledgerCounters(stores, 'fetchAndStore');
  const { rows } = await stores.migration.query('SELECT FROM preprocess_job');
  expect({ written, skipped }).toEqual({ written: rows.length, skipped: 0 });
});

/** What the API saw for a while. */
async function observe({ after: warmUp, milliseconds }: { after: number; milliseconds: number }): Promise<{
  perSecond: number;
  refusedShare: number;
}> {
  await delay(warmUp);
  const [before, from] = [await answers(), performance.now()];
  await delay(milliseconds);
  const [after, to] = [await answers(), performance.now()];
  const served = after.served - before.served;
  const refused = after.refused - before.refused;
  return { perSecond: (served * 1000) / (to - from), refusedShare: refused / (served + refused) };
}

async function answers(): Promise<{ served: number; refused: number }> {
  const statistics = (await world.legacyApiStatistics()) as unknown as { answers: Record<string, number> };
  return { served: statistics.answers['200'] ?? 0, refused: statistics.answers['429'] ?? 0 };
}

/** The job says that it has found this level, and why. What is out here is a little more than what the API counts. */
function expectDecided(decisions: readonly Decision[], level: number): void {
  const near = decisions.filter(
    ({ what, to }) => what === 'concurrency' && to !== null && to >= 0.75 * level && to <= 1.4 * level,
  );
  const reasons = near.map(({ reason }) => reason);
  expect(reasons, JSON.stringify(decisions)).toContainEqual(
    expect.stringMatching(/^HTTP 429 for \d+ of \d+ calls$/),
  );
}
