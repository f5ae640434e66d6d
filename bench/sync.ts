import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import type { Client } from '@temporalio/client';
import { configOf } from '../src/cli/demo/stack.ts';
import { withSession } from '../src/cli/connection.ts';
import type { JobProgress } from '../src/contract/progress.ts';
import { createDemoDocuments } from '../src/dev/demo-data/documents.ts';
import { progressText } from '../src/dev/progress.ts';
import { startStack } from '../src/dev/stack.ts';
import type { Measured } from './figures.ts';
import { median } from './median.ts';

const documents = 1_100_000;
const preprocessedShare = 1 / 11;
const partitions = 4;

/** What a run works with. */
interface Bench {
  readonly source: pg.Client;
  readonly sink: pg.Client;
  readonly temporal: Client;
  readonly taskQueue: string;
  /** A place that the database server can reach. */
  readonly directory: string;
}

/**
 * targetSync of about a million rows, and tableSync of the same ones, beside `COPY` piped into `COPY` with an upsert. They
 * take turns, so that a slow minute of the machine meets them all.
 * @throws Error when a run has not copied every row as it is: a time says nothing about work that was not done
 */
export async function benchSync(runs: number): Promise<Measured> {
  const stack = await startStack({
    ephemeral: true,
    workers: 1,
    onProgress: (event) => console.error(progressText(event)),
  });
  const { databaseUrl, sourceDatabaseUrl, ...config } = configOf(stack.info);
  const source = new pg.Client({ connectionString: sourceDatabaseUrl });
  const sink = new pg.Client({ connectionString: databaseUrl });
  const directory = mkdtempSync(path.join(tmpdir(), 'keystride-bench-'));
  chmodSync(directory, 0o777);
  try {
    await Promise.all([source.connect(), sink.connect()]);
    await createDemoDocuments({ sourceDatabaseUrl, count: documents, preprocessedShare });
    await source.query(`CREATE TABLE bench_target AS SELECT ${columns} FROM (${targets}) AS target`);
    await source.query('ALTER TABLE bench_target ADD PRIMARY KEY (ticket_key)');
    return await withSession(
      ({ client, config: { taskQueue } }) =>
        measure({ source, sink, temporal: client, taskQueue, directory }, runs),
      { databaseUrl, sourceDatabaseUrl, ...config },
    );
  } finally {
    await Promise.all([source.end(), sink.end()]);
    rmSync(directory, { recursive: true, force: true });
    await stack.stop();
  }
}

async function measure(bench: Bench, runs: number): Promise<Measured> {
  const times = { limit: [] as number[], targetSync: [] as number[], tableSync: [] as number[] };
  const table = { source: 'bench_target', sink: 'migration_target' };
  await timed(bench, () => byJob(bench, 'targetSync', 0, {}));
  for (let run = 1; run <= runs; run++) {
    times.limit.push(await timed(bench, () => byCopy(bench)));
    times.targetSync.push(await timed(bench, () => byJob(bench, 'targetSync', run, {})));
    times.tableSync.push(await timed(bench, () => byJob(bench, 'tableSync', run, table)));
    console.error(`run ${run}: ${JSON.stringify(times)}`);
  }
  const limitSeconds = median(times.limit);
  const figuresOf = (seconds: readonly number[]) => ({
    limitSeconds,
    seconds: median(seconds),
    ratio: Number((median(seconds) / limitSeconds).toFixed(3)),
    runs: seconds,
  });
  return { figures: { sync: figuresOf(times.targetSync), tableSync: figuresOf(times.tableSync) } };
}

const columns = 'ticket_key, member_id, document_name, uploaded_at';

const targets = `SELECT legacy_document.* FROM legacy_document LEFT JOIN preprocess_document USING (ticket_key)
  WHERE preprocess_document.id IS NULL`;

/** Seconds that `copy` takes into an empty target. */
async function timed({ source, sink }: Bench, copy: () => Promise<void>): Promise<number> {
  await sink.query('TRUNCATE migration_target RESTART IDENTITY');
  await sink.query('CHECKPOINT');
  const before = performance.now();
  await copy();
  const seconds = Math.round(performance.now() - before) / 1000;
  const hash = `SELECT count(*) || ' ' || sum(hashtextextended(concat_ws('|', ${columns}), 0)) AS hash FROM`;
  const [wanted, found] = await Promise.all([
    source.query<{ hash: string }>(`${hash} bench_target`),
    sink.query<{ hash: string }>(`${hash} migration_target`),
  ]);
  if (wanted.rows[0]?.hash !== found.rows[0]?.hash)
    throw new Error(`the target is not as its source: ${found.rows[0]?.hash}, not ${wanted.rows[0]?.hash}`);
  return seconds;
}

/** One server process writes into a pipe what another reads from it: no client stands between. */
async function byCopy({ source, sink, directory }: Bench): Promise<void> {
  const pipe = path.join(directory, 'pipe');
  await source.query(`COPY (SELECT WHERE false) TO PROGRAM 'mkfifo -m 666 ${pipe}'`);
  try {
    await sink.query('BEGIN');
    await sink.query(
      `CREATE TEMP TABLE arrived ON COMMIT DROP AS SELECT ${columns} FROM migration_target WITH NO DATA`,
    );
    await Promise.all([
      source.query(`COPY (SELECT ${columns} FROM (${targets}) AS target) TO '${pipe}'`),
      sink.query(`COPY arrived FROM '${pipe}'`),
    ]);
    await sink.query(
      `INSERT INTO migration_target (${columns}) SELECT ${columns} FROM arrived ON CONFLICT (ticket_key) DO UPDATE
          SET member_id = excluded.member_id, document_name = excluded.document_name, uploaded_at = excluded.uploaded_at`,
    );
    await sink.query('COMMIT');
  } finally {
    rmSync(pipe, { force: true });
  }
}

/** The whole job, from its start to its end. */
async function byJob(
  { temporal, taskQueue }: Bench,
  job: string,
  run: number,
  parameters: object,
): Promise<void> {
  const report = (await temporal.workflow.execute(job, {
    taskQueue,
    workflowId: `${job} ${run}`,
    args: [{ ...parameters, partitions, run: run + 1 }],
  })) as JobProgress;
  if (report.status !== 'completed')
    throw new Error(`${job} ${run} ended ${report.status}: ${report.reason}`);
}
