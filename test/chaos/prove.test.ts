import { expect, test } from 'vitest';
import { documentMigration } from '../../src/contract/document-migration.ts';
import type { JobDefinition } from '../../src/contract/job.ts';
import { targetSync } from '../../src/contract/target-sync.ts';
import { progressText } from '../../src/dev/progress.ts';
import { hasFailed, prove, type ProveReport } from '../../src/prove/prove.ts';
import keptSeeds from './seeds/prove.json' with { type: 'json' };

/** A run that has failed once, and why: it is done again for ever. */
interface KeptSeed {
  readonly job: string;
  readonly seed: number;
  readonly why: string;
}

/** The same runs every time, so that every fault point is met; `KEYSTRIDE_SEED` begins elsewhere. */
const first = Number(process.env['KEYSTRIDE_SEED']) || 1;

const newRuns = 10;

async function proveJob(job: JobDefinition, rows: number): Promise<ProveReport> {
  const kept = (keptSeeds as readonly KeptSeed[]).filter((one) => one.job === job.name);
  const fresh = Array.from({ length: newRuns }, (_, run) => first + run);
  return prove({
    job,
    input: {},
    seeds: [...kept.map(({ seed }) => seed), ...fresh],
    parallel: 4,
    data: { rows },
    onProgress: (event) => console.log(progressText(event)),
    onMeasured: (_passes, seconds) => console.log(`without faults: ${seconds.toFixed(1)} s`),
    onRun: (run) =>
      console.log(
        `seed ${run.seed} ${hasFailed(run) ? 'FAILED' : 'ok'} ${run.seconds.toFixed(1)} s: ${run.faults.join(', ')}`,
        ...(hasFailed(run) ? [run.problem, ...run.findings] : []),
      ),
  });
}

function expectProven(report: ProveReport): void {
  expect(report).toMatchObject({ lost: 0, doubled: 0, balanced: true, failedSeeds: [] });
  expect(report.runs).toBeGreaterThanOrEqual(newRuns);
  const places = Object.entries(report.faultPoints);
  expect(places.length).toBeGreaterThanOrEqual(13);
  expect(places.filter(([, hits]) => hits === 0)).toEqual([]);
}

test('documentMigration loses and doubles nothing, whatever fails around its commits', async () => {
  expectProven(await proveJob(documentMigration, 800));
}, 300_000);

test('targetSync loses and doubles nothing, whatever fails around its commits', async () => {
  expectProven(await proveJob(targetSync, 40_000));
}, 300_000);
