import path from 'node:path';
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
import keptFailures from './seeds/prove.json' with { type: 'json' };

/** A run that has failed once, with the faults that it had then, and why: it is done again for ever. */
interface KeptFailure extends KeptRun {
  readonly job: string;
  readonly why: string;
}

/** The same runs every time, so that every fault point is met; `KEYSTRIDE_SEED` begins elsewhere, `KEYSTRIDE_RUNS` does more. */
const first = Number(process.env['KEYSTRIDE_SEED']) || 1;

const newRuns = Number(process.env['KEYSTRIDE_RUNS']) || 10;

async function proveJob(job: JobDefinition, rows: number): Promise<ProveReport> {
  const kept = (keptFailures as readonly KeptFailure[]).filter((one) => one.job === job.name);
  return prove({
    project: await loadProject(path.join(import.meta.dirname, '../../keystride.config.ts')),
    job,
    input: {},
    kept,
    seeds: Array.from({ length: newRuns }, (_, run) => first + run),
    parallel: 4,
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
  expect(report).toMatchObject({ lost: 0, doubled: 0, balanced: true, verified: true, failedSeeds: [] });
  const kept = (keptFailures as readonly KeptFailure[]).filter((one) => one.job === job.name);
  expect(report.runs).toBe(newRuns + kept.length);
  const places = Object.entries(report.faultPoints);
  expect(places.length).toBeGreaterThanOrEqual(13);
  expect(places.filter(([, hits]) => hits === 0)).toEqual([]);
}

test('documentMigration loses and doubles nothing, whatever fails around its commits', async () => {
  expectProven(documentMigration, await proveJob(documentMigration, 800));
}, 300_000);

test('targetSync loses and doubles nothing, whatever fails around its commits', async () => {
  expectProven(targetSync, await proveJob(targetSync, 40_000));
}, 300_000);
