import pg from 'pg';
import type { Client } from '@temporalio/client';
import type { JobProgress } from '../src/contract/progress.ts';
import { configOf } from '../src/cli/demo/stack.ts';
import { withSession } from '../src/cli/connection.ts';
import { createDemoOrders } from '../src/dev/demo-data/orders.ts';
import { progressText } from '../src/dev/progress.ts';
import { startStack } from '../src/dev/stack.ts';
import type { Growth, Measured } from './figures.ts';
import { median } from './median.ts';

const rows = 1_000_000;
const smallerSizes = [10_000, 100_000];
const connections = 4;
const deliveredBefore = '2025-10-01';

/** What a run works with. */
interface Bench {
  readonly databaseUrl: string;
  readonly database: pg.Client;
  readonly temporal: Client;
  readonly taskQueue: string;
}

/**
 * purchaseConfirmation over a million orders, item by item in TypeScript, beside the same work in SQL alone: one
 * statement, and one split over four connections. They take turns, so that a slow minute of the machine meets them all.
 * @throws Error when a run has not confirmed every order: a time says nothing about work that was not done
 */
export async function benchPurchase(runs: number): Promise<Measured> {
  const stack = await startStack({
    ephemeral: true,
    workers: 1,
    onProgress: (event) => console.error(progressText(event)),
  });
  const config = configOf(stack.info);
  const database = new pg.Client({ connectionString: config.databaseUrl });
  try {
    await database.connect();
    return await withSession(
      ({ client, config: { taskQueue } }) =>
        measure({ databaseUrl: config.databaseUrl, database, temporal: client, taskQueue }, runs),
      config,
    );
  } finally {
    await database.end();
    await stack.stop();
  }
}

async function measure(bench: Bench, runs: number): Promise<Measured> {
  await makeOrders(bench, rows);
  await timed(bench, rows, () => confirmByJob(bench, 'warm-up'));
  const times = { oneStatement: [] as number[], split: [] as number[], job: [] as number[] };
  for (let run = 1; run <= runs; run++) {
    times.oneStatement.push(await timed(bench, rows, () => confirmInOneStatement(bench)));
    times.split.push(await timed(bench, rows, () => confirmInParts(bench)));
    times.job.push(await timed(bench, rows, () => confirmByJob(bench, `run ${run}`)));
    const told = Object.entries(times).map(([name, seconds]) => `${name} ${seconds.at(-1)?.toFixed(2)} s`);
    console.error(`run ${run} of ${runs}: ${told.join(', ')}`);
  }
  const limitSeconds = Math.min(median(times.oneStatement), median(times.split));
  const seconds = median(times.job);
  const ratio = Number((seconds / limitSeconds).toFixed(3));
  return {
    figures: { purchase: { limitSeconds, seconds, ratio, runs: times.job } },
    growth: growthOf([...(await timeSmallerSizes(bench, runs)), [rows, seconds]]),
  };
}

async function timeSmallerSizes(bench: Bench, runs: number): Promise<[number, number][]> {
  const sizes: [number, number][] = [];
  for (const size of smallerSizes) {
    const seconds: number[] = [];
    for (let run = 1; run <= runs; run++)
      seconds.push(await timed(bench, size, () => confirmByJob(bench, `${size} rows, run ${run}`)));
    sizes.push([size, median(seconds)]);
  }
  return sizes;
}

function growthOf(sizes: readonly (readonly [number, number])[]): Record<string, Growth> {
  return Object.fromEntries(
    sizes.map(([size, seconds], index) => {
      const [sizeBefore, secondsBefore] = sizes[index - 1] ?? [];
      const further =
        sizeBefore === undefined || secondsBefore === undefined
          ? null
          : microseconds(seconds - secondsBefore, size - sizeBefore);
      return [
        String(size),
        { seconds, microsecondsPerRow: microseconds(seconds, size), microsecondsPerFurtherRow: further },
      ];
    }),
  );
}

function microseconds(seconds: number, many: number): number {
  return Number(((seconds / many) * 1e6).toFixed(2));
}

/** Orders that are all to be confirmed, kept aside so that every run begins with the same table. */
async function makeOrders({ databaseUrl, database }: Bench, count: number): Promise<void> {
  await createDemoOrders({ databaseUrl, count, deliveredShare: 1, reset: true });
  await database.query('create table bench_orders as select * from orders order by id');
}

/** Seconds that `confirm` takes with the first `size` orders, none of them confirmed. */
async function timed({ database }: Bench, size: number, confirm: () => Promise<void>): Promise<number> {
  await database.query('truncate orders');
  await database.query(
    'insert into orders overriding system value select * from bench_orders where id <= $1 order by id',
    [size],
  );
  await database.query('vacuum (analyze) orders');
  await database.query('checkpoint');
  const before = performance.now();
  await confirm();
  const seconds = Math.round(performance.now() - before) / 1000;
  const { rows: left } = await database.query<{ confirmed: string }>(
    'select count(purchase_confirmed_at) as confirmed from orders',
  );
  if (Number(left[0]?.confirmed) !== size)
    throw new Error(`${left[0]?.confirmed} of ${size} orders are confirmed`);
  return seconds;
}

const confirmAll = `update orders set purchase_confirmed_at = now()
  where purchase_confirmed_at is null and delivered_at < '${deliveredBefore}T00:00:00Z' and amount >= 0`;

async function confirmInOneStatement({ database }: Bench): Promise<void> {
  await database.query(confirmAll);
}

async function confirmInParts({ databaseUrl }: Bench): Promise<void> {
  const part = rows / connections;
  const clients = Array.from({ length: connections }, () => new pg.Client({ connectionString: databaseUrl }));
  try {
    await Promise.all(
      clients.map(async (client, index) => {
        await client.connect();
        await client.query(`${confirmAll} and id > $1 and id <= $2`, [index * part, (index + 1) * part]);
      }),
    );
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** The whole job, from its start to its end. The name makes an instance of its own: the ledger is emptied before. */
async function confirmByJob({ database, temporal, taskQueue }: Bench, name: string): Promise<void> {
  await database.query(
    'truncate keystride.instance, keystride.step, keystride.checkpoint, keystride.skip cascade',
  );
  const report = (await temporal.workflow.execute('purchaseConfirmation', {
    taskQueue,
    workflowId: `purchaseConfirmation ${name}`,
    args: [{ deliveredBefore }],
  })) as JobProgress;
  if (report.status !== 'completed') throw new Error(`${name} ended ${report.status}: ${report.reason}`);
}
