import type { Bench } from '../bench.ts';
import { inRounds, warmUp } from '../contest.ts';
import { costOf, figuresOf, loopOf, rounded, type Figures, type Observation } from '../figures.ts';
import { historyFigures } from './history.ts';
import { median } from '../median.ts';
import { peerOf } from '../peers/peer-of.ts';
import { springBatch } from '../peers/spring-batch.ts';
import type { Request, Results } from '../request.ts';
import {
  connections,
  deliveredBefore,
  forgetOrders,
  makeOrders,
  ordersContest,
  workflowIdOf,
} from './orders.ts';

const million = 1_000_000;

/** How time and memory grow with the rows. */
export interface GrowthFigures extends Figures {
  /** By the number of rows. */
  readonly sizes: Readonly<Record<string, Growth>>;
}

interface Growth {
  readonly seconds: number;
  readonly runs: readonly number[];
  readonly microsecondsPerRow: number;
  readonly workerMaxRssMb?: number;
}

/** Ten times the rows may take so many times the time. */
const allowedGrowth = 10.5;

/** purchaseConfirmation: against SQL alone, with fewer and more rows, and what it leaves in Temporal. */
export async function measureOrders(bench: Bench, request: Request): Promise<Results> {
  const { keys, runs, large } = request;
  await makeOrders(bench, keys.has('growth') && large ? 10 * million : million);
  try {
    await warmUp(bench, ordersContest(bench, million / 10), 'ours');
    const sizes: [number, readonly Observation[]][] = [];
    // From few rows to many: what a worker has once had resident, it keeps.
    if (keys.has('growth')) sizes.push([million / 10, await jobAlone(bench, runs, million / 10)]);
    const results: Results = {};
    if (keys.has('purchase') || keys.has('history')) {
      const { ours, withoutEngine, ...limits } = await inRounds(bench, runs, ordersContest(bench, million));
      sizes.push([million, ours]);
      const figures = { ...figuresOf(limits, ours), ...loopOf(withoutEngine) };
      if (keys.has('history')) results.history = await historyFigures(bench, figures, workflowIds(runs));
      if (keys.has('purchase')) results.purchase = { ...figures, ...(await purchasePeer(bench, request)) };
    } else sizes.push([million, await jobAlone(bench, runs, million)]);
    if (keys.has('growth')) {
      if (large) sizes.push([10 * million, await jobAlone(bench, runs, 10 * million)]);
      results.growth = growthOf(sizes);
    }
    return results;
  } finally {
    await forgetOrders(bench);
  }
}

function workflowIds(runs: number): string[] {
  return Array.from({ length: runs }, (_, index) => workflowIdOf(million, index + 1));
}

async function jobAlone(bench: Bench, runs: number, size: number): Promise<readonly Observation[]> {
  const { ways, ...contest } = ordersContest(bench, size);
  return (
    (await inRounds(bench, runs, { ...contest, ways: { [`${size} rows`]: ways.ours } }))[`${size} rows`] ?? []
  );
}

function purchasePeer(bench: Bench, request: Request): ReturnType<typeof peerOf> {
  const environment = { THREADS: String(connections) };
  return peerOf(bench, request, ordersContest(bench, million), () =>
    springBatch(bench, { job: 'purchase', parameters: { deliveredBefore }, environment }),
  );
}

function growthOf(sizes: readonly (readonly [number, readonly Observation[]])[]): GrowthFigures {
  const [smaller, larger] = sizes.slice(-2);
  const limitSeconds = rounded(allowedGrowth * median(secondsOf(smaller?.[1])));
  const figures = figuresOf({}, larger?.[1] ?? []);
  return {
    ...figures,
    limitSeconds,
    ratio: rounded(figures.seconds / limitSeconds),
    sizes: Object.fromEntries(sizes.map(([size, seen]) => [String(size), growth(size, seen)])),
  };
}

function growth(size: number, seen: readonly Observation[]): Growth {
  const { workerMaxRssMb } = costOf(seen);
  const seconds = rounded(median(secondsOf(seen)));
  return {
    seconds,
    runs: secondsOf(seen),
    microsecondsPerRow: rounded((seconds / size) * 1e6),
    ...(workerMaxRssMb !== undefined && { workerMaxRssMb }),
  };
}

function secondsOf(seen: readonly Observation[] = []): number[] {
  return seen.map(({ seconds }) => seconds);
}
