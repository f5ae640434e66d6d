import path from 'node:path';
import { Command } from 'commander';
import { prepareData } from '../src/commands/demo/data.ts';
import { Stub } from '../src/commands/demo/stub.ts';
import { table } from '../packages/keystride/src/operator/format.ts';
import { outputOption, wholeNumber, type OutputOptions } from '../packages/keystride/src/cli/options.ts';
import { historiesOf, pagesOf } from '../test/support/history.ts';
import { startTestWorker, type TestWorker } from '../test/support/worker-process.ts';
import { type Bench, emptyLedger, runJob, withBench } from './bench.ts';
import { median } from './median.ts';

const mostWorkers = 3;

const documents = 2_000;
const latency = 1_000;
const inFlight = 250;

const items = 20_000;
const rounds = 7_500;

/** What so many workers took for the same work. */
interface Scaled {
  readonly workers: number;
  /** The median of the runs. */
  readonly seconds: number;
  /** How many times as fast as one worker. */
  readonly speedUp: number;
  readonly runs: readonly number[];
  /** Share of the pages' time that each worker has had, the busiest first; of the last run. */
  readonly shares: readonly number[];
}

type Scenario = (bench: Bench, run: number) => Promise<Observed>;

interface Observed {
  readonly seconds: number;
  readonly shares: readonly number[];
}

const scenarios: Readonly<Record<string, Scenario>> = { apiBound, cpuBound };

await new Command('scale')
  .description('measure the same work with one, two and three workers, on a stack of its own')
  .option('--runs <n>', 'runs of each; medians are told', wholeNumber(1, 20), 3)
  .addOption(outputOption())
  .action(async ({ runs, output }: OutputOptions & { runs: number }) => {
    const note = (text: string) => console.error(text);
    const found = await withBench({ note }, (bench) => measureScale(bench, runs));
    if (output === 'json') return console.log(JSON.stringify(found));
    for (const [name, rows] of Object.entries(found))
      for (const line of linesOf(name, rows)) console.log(line);
  })
  .parseAsync();

/** Runs each work with one worker, then with one more, then with a third. */
async function measureScale(bench: Bench, runs: number): Promise<Record<string, Scaled[]>> {
  const found = Object.fromEntries(Object.keys(scenarios).map((name) => [name, [] as Scaled[]]));
  const added: TestWorker[] = [];
  try {
    for (let workers = 1; workers <= mostWorkers; workers++) {
      if (workers > 1) added.push(await addWorker(bench, workers));
      for (const [name, scenario] of Object.entries(scenarios)) {
        const seen: Observed[] = [];
        for (let run = 1; run <= runs; run++) {
          seen.push(await scenario(bench, 100 * workers + run));
          bench.note(`  ${workers} workers  ${name}  ${seen.at(-1)?.seconds.toFixed(2)} s`);
        }
        found[name]?.push(scaledOf(workers, seen, found[name][0]));
      }
    }
    return found;
  } finally {
    await Promise.all(added.map((worker) => worker.stop()));
  }
}

function scaledOf(workers: number, seen: readonly Observed[], alone: Scaled | undefined): Scaled {
  const runs = seen.map(({ seconds }) => seconds);
  const seconds = median(runs);
  const speedUp = Number(((alone?.seconds ?? seconds) / seconds).toFixed(2));
  return { workers, seconds, speedUp, runs, shares: seen.at(-1)?.shares ?? [] };
}

function linesOf(name: string, rows: readonly Scaled[]): string[] {
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const body = rows.map(({ workers, seconds, speedUp, runs, shares }) => [
    String(workers),
    `${seconds.toFixed(2)} s`,
    `${speedUp.toFixed(2)} ×`,
    shares.map(percent).join('  '),
    runs.map((run) => run.toFixed(2)).join('  '),
  ]);
  return [name, ...table(['workers', 'median', 'as fast', 'pages of each', 'runs'], body)];
}

function addWorker({ stack, workerEnvironment }: Bench, number: number): Promise<TestWorker> {
  return startTestWorker({
    name: `worker-${number}`,
    home: stack.info.home,
    program: path.join(import.meta.dirname, 'jobs/worker.ts'),
    environment: workerEnvironment,
    owner: stack.ownership,
  });
}

/** documentMigration: what it waits for is the API. */
async function apiBound(bench: Bench, run: number): Promise<Observed> {
  const { config, stack } = bench;
  const parts = { config, ours: { postgres: true, mongodb: true }, adopted: false, stop: () => stack.stop() };
  await prepareData(parts, { count: documents });
  await emptyLedger(bench);
  const stub = new Stub(config.legacyApiUrl);
  await stub.configure({ latency });
  await runJob(bench, 'targetSync', { run }, `targetSync ${run}`);
  await stub.reset();
  const observed = await timed(bench, 'documentMigration', { run, inFlight, partitions: 6 }, run);
  const { calls } = await stub.statistics();
  if (calls !== documents) throw new Error(`${calls} calls for ${documents} documents`);
  return observed;
}

/** A processor of about a millisecond an item. */
async function cpuBound(bench: Bench, run: number): Promise<Observed> {
  await emptyLedger(bench);
  return timed(bench, 'cpuBound', { run, items, rounds, partitions: 16, window: 6 }, run);
}

async function timed(bench: Bench, job: string, parameters: object, run: number): Promise<Observed> {
  const id = `${job} ${run}`;
  const { steps } = await runJob(bench, job, parameters, id);
  // The first step: what documentMigration verifies afterwards is another measurement.
  const [step] = steps;
  const seconds = (Date.parse(step?.finishedAt ?? '') - Date.parse(step?.startedAt ?? '')) / 1000;
  const pages = (await historiesOf(bench.client, id)).flatMap(pagesOf);
  const byWorker = new Map<string, number>();
  for (const page of pages) byWorker.set(page.worker, (byWorker.get(page.worker) ?? 0) + page.seconds);
  const all = [...byWorker.values()].reduce((sum, share) => sum + share, 0);
  return { seconds, shares: [...byWorker.values()].map((share) => share / all).toSorted((a, b) => b - a) };
}
