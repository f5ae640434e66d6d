import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import type pg from 'pg';
import { outputOption, wholeNumber, type OutputOptions } from '../packages/keystride/src/cli/options.ts';
import { messages } from '../packages/keystride/src/contract/messages.ts';
import { count } from '../packages/keystride/src/operator/format.ts';
import { createPool } from '../packages/keystride/src/stores/postgres/pool.ts';
import { createDemoMedication } from '../src/demo-data/medication.ts';
import { createDemoOrders } from '../src/demo-data/orders.ts';
import type { TestWorker } from '../test/support/worker-process.ts';
import { type Bench, startWorker, withBench } from './bench.ts';
import { type LedgerSize, ledgerSizeOf } from './ledger-size.ts';
import { growthOf, type Sample, Samples } from './samples.ts';
import { type Fault, faultOf } from './soak-faults.ts';

/** A worker that needs more has kept something. In MB (2^20 bytes). */
const mostMb = 300;

/** Growth from the end of the warm-up to the end that may be noise: a heap is collected when there is need. */
const mostGrowthMb = 40;

/** Growth of the open files that may be noise: pools are filled and emptied. */
const mostGrowthFiles = 10;

/** Of the time, until programs are compiled and pools are filled. */
const warmUp = 1 / 5;

/** A round of work is followed by so many times as long of rest: the machine is there for others too. */
const restPerWork = 9;

/** The longest rest, in milliseconds. */
const longestRest = 20_000;

/** The longest that a run may take, faults included, in milliseconds. */
const longestRun = 120_000;

const rows = 20_000;

/** What a soak has found. */
interface Soaked {
  readonly minutes: number;
  readonly rounds: number;
  readonly faults: Readonly<Partial<Record<Fault, number>>>;
  /** Resident memory of the worker, in MB. */
  readonly peakMb: number;
  readonly growthMb: number;
  readonly growthMbPerHour: number;
  /** Open files of the worker, its connections included: the most, and how they have grown after the warm-up. */
  readonly peakFiles: number;
  readonly growthFiles: number;
  /** Connections of both workers to both databases, the most that were seen between two rounds. */
  readonly peakConnections: number;
  /** What the ledger held after the first round, and at the end. */
  readonly ledger: { readonly first: LedgerSize; readonly last: LedgerSize };
}

/** What a soak works with. */
interface Soak {
  readonly bench: Bench;
  /** Pools, unlike the connections of the bench, come back when the server does. */
  readonly database: pg.Pool;
  readonly source: pg.Pool;
  readonly second: TestWorker;
}

await new Command('soak')
  .description('run jobs one after another at a moderate rate under faults, and watch what a worker keeps')
  .option('--minutes <n>', 'how long', wholeNumber(1, 10_000), 30)
  .addOption(outputOption())
  .action(async ({ minutes, output }: OutputOptions & { minutes: number }) => {
    const note = (text: string) => console.error(text);
    const found = await withBench({ note }, (bench) => withParts(bench, (parts) => soak(parts, minutes)));
    for (const line of output === 'json' ? [JSON.stringify(found)] : linesOf(found)) console.log(line);
    const wrong = faultsOf(found);
    for (const fault of wrong) console.error(fault);
    process.exitCode = wrong.length > 0 ? 1 : 0;
  })
  .parseAsync();

async function withParts<Result>(bench: Bench, work: (parts: Soak) => Promise<Result>): Promise<Result> {
  const database = createPool(bench.config.databaseUrl, 'soak');
  const source = createPool(bench.config.sourceDatabaseUrl, 'soak');
  const second = await startWorker(bench.stack, bench.workerEnvironment, 'worker-2');
  try {
    return await work({ bench, database, source, second });
  } finally {
    await second.stop();
    await Promise.all([database.end(), source.end()]);
  }
}

async function soak(parts: Soak, minutes: number): Promise<Soaked> {
  const { bench, database } = parts;
  const begun = performance.now();
  const until = begun + minutes * 60_000;
  const samples = new Samples(bench.pids.worker, (sample) => bench.note(toldOf(sample)));
  const met: Partial<Record<Fault, number>> = {};
  const connections: number[] = [];
  let first: LedgerSize | undefined;
  let rounds = 0;
  try {
    const stopSync = await startSync(parts);
    for (; performance.now() < until; rounds++) {
      const roundBegun = performance.now();
      const fault = await oneRound(parts, rounds);
      met[fault] = (met[fault] ?? 0) + 1;
      connections.push(await connectionsOf(database));
      first ??= await ledgerSizeOf(database);
      const worked = performance.now() - roundBegun;
      bench.note(`  round ${rounds}  ${(worked / 1000).toFixed(1)} s  ${fault}`);
      const rest = Math.min(longestRest, worked * restPerWork);
      await delay(Math.max(0, Math.min(rest, until - performance.now())));
    }
    await stopSync();
  } finally {
    samples.end();
  }
  const last = await ledgerSizeOf(database);
  const settled = samples.after(begun + warmUp * (until - begun));
  const memory = growthOf(settled, 'megabytes');
  const most = (of: 'megabytes' | 'files') => Math.max(...samples.all.map((sample) => sample[of]));
  return {
    minutes,
    rounds,
    faults: met,
    peakMb: most('megabytes'),
    growthMb: memory.whole,
    growthMbPerHour: memory.perHour,
    peakFiles: most('files'),
    growthFiles: growthOf(settled, 'files').whole,
    peakConnections: Math.max(...connections),
    ledger: { first: first ?? last, last },
  };
}

/** Every kind of step: items, sets of rows, and rows that a sync finds by itself. Orders have an instance a round; the medication's days are few, and begin anew. */
async function oneRound(parts: Soak, round: number): Promise<Fault> {
  const { bench, database, source } = parts;
  const { databaseUrl } = bench.config;
  const day = (first: number, days: number) =>
    new Date(Date.UTC(2025, 9, first + days)).toISOString().slice(0, 10);
  const date = day(1, round % 5);
  await createDemoOrders({ databaseUrl, count: rows, reset: true, deliveredShare: 1 });
  await createDemoMedication({ databaseUrl, count: rows, reset: true });
  await database.query("DELETE FROM keystride.instance WHERE job = 'medicationHistory'");
  await source.query(
    'INSERT INTO soak_source (note) SELECT repeat(md5(n::text), 4) FROM generate_series(1, $1::int) AS n',
    [rows / 10],
  );
  const variant = round % 2 === 0 ? 'set' : 'items';
  const [fault] = await Promise.all([
    faultOf(round, parts),
    runUnderFaults(bench, 'purchaseConfirmation', { deliveredBefore: day(1, round) }, `soak orders ${round}`),
    runUnderFaults(bench, 'medicationHistory', { date, variant }, `soak medication ${round}`),
  ]);
  await refuseOther(database, 'orders WHERE purchase_confirmed_at IS NOT NULL', rows);
  await refuseUnbalanced(database);
  return fault;
}

/** A whole job, whose servers may be away for a while. @throws Error when it does not complete */
async function runUnderFaults(
  { client, config }: Bench,
  job: string,
  parameters: object,
  workflowId: string,
): Promise<void> {
  const options = { taskQueue: config.taskQueue, workflowId, args: [parameters] };
  const handle = await client.workflow.start(job, options);
  for (const deadline = performance.now() + longestRun; performance.now() < deadline; await delay(250)) {
    // Temporal may be the one that is being restarted.
    const status = await handle.describe().then(
      (found) => found.status.name,
      () => 'RUNNING',
    );
    if (status === 'COMPLETED') return;
    if (status !== 'RUNNING') throw new Error(`${workflowId} ended as ${status}`);
  }
  throw new Error(`${workflowId} did not end within ${longestRun / 1000} s`);
}

async function refuseOther(database: pg.Pool, from: string, wanted: number): Promise<void> {
  const { rows: found } = await database.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ${from}`);
  if (found[0]?.rows !== wanted) throw new Error(`${found[0]?.rows} rows of ${from}, not ${wanted}`);
}

/** @throws Error when the books of a run of orders do not have each row once */
async function refuseUnbalanced(database: pg.Pool): Promise<void> {
  const { rows: found } = await database.query<{ instance: string; written: number }>(
    `SELECT instance_key AS instance, sum(written)::int AS written FROM keystride.checkpoint
      WHERE instance_key LIKE 'purchaseConfirmation%' GROUP BY instance_key HAVING sum(written) <> $1`,
    [rows],
  );
  const [wrong] = found;
  if (wrong !== undefined)
    throw new Error(`${wrong.instance} has written ${wrong.written} rows, not ${rows}`);
}

async function connectionsOf(database: pg.Pool): Promise<number> {
  const { rows: found } = await database.query<{ connections: number }>(
    `SELECT count(*)::int AS connections FROM pg_stat_activity WHERE application_name LIKE 'keystride%'`,
  );
  return found[0]?.connections ?? 0;
}

/** A sync that goes on until it is stopped. @returns what stops it, and looks whether it has copied every row. */
async function startSync({
  bench: { client, config },
  source,
  database,
}: Soak): Promise<() => Promise<void>> {
  const columns = '(id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, note text NOT NULL)';
  await source.query(`CREATE TABLE soak_source ${columns}`);
  await database.query(`CREATE TABLE soak_sink ${columns}`);
  const sync = await client.workflow.start('tableSync', {
    taskQueue: config.taskQueue,
    workflowId: 'soak sync',
    args: [
      {
        ...{ source: 'soak_source', sink: 'soak_sink', mode: 'incrementing' },
        ...{ poll: 'continuous', pollSeconds: 5 },
      },
    ],
  });
  return async () => {
    const rowsOf = async (from: pg.Pool, table: string) =>
      (await from.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ${table}`)).rows[0]?.rows;
    const wanted = await rowsOf(source, 'soak_source');
    for (let look = 0; (await rowsOf(database, 'soak_sink')) !== wanted; look++) {
      if (look > 60) throw new Error('the sync has not copied every row within a minute');
      await delay(1_000);
    }
    await sync.executeUpdate(messages.stop, { args: [{}] });
    await sync.result();
  };
}

function toldOf({ at, megabytes, files }: Sample): string {
  return `  ${new Date(at).toISOString().slice(11, 16)}  worker ${megabytes.toFixed(0)} MB, ${files} open files`;
}

function linesOf(found: Soaked): string[] {
  const { minutes, rounds, peakMb, growthMb, growthMbPerHour, peakFiles, growthFiles, ledger } = found;
  const { first, last } = ledger;
  const growth = `${growthMb.toFixed(1)} MB after the warm-up, ${growthMbPerHour.toFixed(1)} MB an hour`;
  const met = Object.entries(found.faults).map(([fault, times]) => `${fault} ${times}`);
  return [
    `${minutes} minutes, ${rounds} rounds: ${met.join(', ')}`,
    `memory: at most ${peakMb.toFixed(0)} MB, growth ${growth}`,
    `open files: at most ${peakFiles}, growth ${growthFiles.toFixed(1)}; connections: at most ${found.peakConnections}`,
    `ledger: ${count(first.rows)} to ${count(last.rows)} rows, ${count(first.bytes)} to ${count(last.bytes)} bytes`,
    `dead tuples: ${count(last.deadTuples)} after ${last.autovacuums} autovacuums`,
  ];
}

function faultsOf({ peakMb, growthMb, growthFiles }: Soaked): string[] {
  const checks: [boolean, string][] = [
    [peakMb <= mostMb, `the worker has held ${peakMb.toFixed(0)} MB; ${mostMb} MB are allowed`],
    [
      growthMb <= mostGrowthMb,
      `its memory has grown by ${growthMb.toFixed(1)} MB; ${mostGrowthMb} MB may be noise`,
    ],
    [
      growthFiles <= mostGrowthFiles,
      `its open files have grown by ${growthFiles.toFixed(1)}; ${mostGrowthFiles} may be noise`,
    ],
  ];
  return checks.filter(([right]) => !right).map(([, fault]) => fault);
}
