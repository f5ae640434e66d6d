import path from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { loadProject } from '../../packages/keystride/src/project/project.ts';
import { documentMigration } from '../../src/contract/document-migration.ts';
import type { JobDefinition } from '../../packages/keystride/src/contract/job.ts';
import { targetSync } from '../../src/contract/target-sync.ts';
import { progressText } from '../../packages/keystride/src/dev/progress.ts';
import {
  hasFailed,
  type KeptRun,
  prove,
  type ProveReport,
} from '../../packages/keystride/src/prove/prove.ts';
import type { ProveSettings } from '../../packages/keystride/src/project/config.ts';
import { tableSync } from '../../packages/keystride/src/table-sync/contract.ts';
import { accountTables } from '../support/account-writer.ts';
import keptFailures from './seeds/prove.json' with { type: 'json' };

/** A run that has failed once, with the faults that it had then, and why: it is done again for ever. */
interface KeptFailure extends KeptRun {
  readonly job: string;
  readonly why: string;
}

/** The same runs every time, so that every fault point is met; `KEYSTRIDE_SEED` begins elsewhere, `KEYSTRIDE_RUNS` does more. */
const first = Number(process.env['KEYSTRIDE_SEED']) || 1;

const newRuns = Number(process.env['KEYSTRIDE_RUNS']) || 10;

interface Proving {
  readonly rows: number;
  readonly input?: Readonly<Record<string, unknown>>;
  /** @default {@link newRuns} */
  readonly runs?: number;
  /** @default 4 */
  readonly parallel?: number;
  /** @default what the project fills them with */
  readonly fill?: ProveSettings['fill'];
}

async function proveJob(
  job: JobDefinition,
  { rows, input = {}, runs = newRuns, parallel = 4, fill }: Proving,
): Promise<ProveReport> {
  const kept = (keptFailures as readonly KeptFailure[]).filter((one) => one.job === job.name);
  const project = await loadProject(path.join(import.meta.dirname, '../../keystride.config.ts'));
  const { config } = project;
  return prove({
    project: fill ? { ...project, config: { ...config, prove: { ...config.prove, fill } } } : project,
    job,
    input,
    kept,
    seeds: Array.from({ length: runs }, (_, run) => first + run),
    parallel,
    data: { rows },
    onProgress: (event) => console.log(progressText(event)),
    onMeasured: (_passes, seconds) => console.log(`without faults: ${seconds.toFixed(1)} s`),
    onRun: (run) =>
      console.log(
        `seed ${run.seed} ${hasFailed(run) ? 'FAILED' : 'ok'} ${run.seconds.toFixed(1)} s: ${run.faults.join(', ')}`,
        ...(hasFailed(run) ? [run.problem, ...run.findings, JSON.stringify(run.plan)] : []),
      ),
    repeat: (seed) => `KEYSTRIDE_SEED=${seed} npx vitest run --project prove`,
  });
}

function expectProven(job: JobDefinition, report: ProveReport): void {
  expectNothingLost(job, report, newRuns);
  const places = Object.entries(report.faultPoints);
  expect(places.length).toBeGreaterThanOrEqual(13);
  expect(places.filter(([, hits]) => hits === 0)).toEqual([]);
}

function expectNothingLost(job: JobDefinition, report: ProveReport, runs: number): void {
  expect(report).toMatchObject({ lost: 0, doubled: 0, balanced: true, verified: true, failedSeeds: [] });
  const kept = (keptFailures as readonly KeptFailure[]).filter((one) => one.job === job.name);
  expect(report.runs).toBe(runs + kept.length);
}

test('documentMigration loses and doubles nothing, whatever fails around its commits', async () => {
  expectProven(documentMigration, await proveJob(documentMigration, { rows: 800 }));
}, 300_000);

test('targetSync loses and doubles nothing, whatever fails around its commits', async () => {
  expectProven(targetSync, await proveJob(targetSync, { rows: 40_000 }));
}, 300_000);

/** Accounts in the source, and empty tables for them in the target. */
const fillShop: ProveSettings['fill'] = async ({ databaseUrl, sourceDatabaseUrl, rows }) => {
  for (const url of [databaseUrl, sourceDatabaseUrl]) {
    const pool = new pg.Pool({ connectionString: url });
    await pool.query(`CREATE SCHEMA shop; ${accountTables}`);
    if (url === sourceDatabaseUrl)
      await pool.query(`
        INSERT INTO shop.account SELECT n, 0, repeat(md5(n || 'a'), 80) FROM generate_series(1, ${rows}) AS n;
        INSERT INTO shop.entry SELECT n, n, n, repeat(md5(n || 'e'), 80) FROM generate_series(1, ${rows}) AS n`);
    await pool.end();
  }
};

/** Few: each is followed for a while. Both servers are restarted in them. */
const streamRuns = Number(process.env['KEYSTRIDE_RUNS']) || 2;

test('a followed log arrives transaction by transaction, once and in order, whatever fails on its way', async () => {
  const report = await proveJob(tableSync, {
    input: { tables: ['shop.*'], mode: 'log' },
    ...{ rows: 400, runs: streamRuns, parallel: 2, fill: fillShop },
  });
  expectNothingLost(tableSync, report, streamRuns);
  expect(Object.values(report.faultPoints).filter((hits) => hits > 0).length).toBeGreaterThanOrEqual(4);
}, 600_000);
