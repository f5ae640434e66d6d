import { randomInt } from 'node:crypto';
import type { Command } from 'commander';
import { loadConfig } from '../settings/config.ts';
import { loadProject } from '../project/project.ts';
import { progressText } from '../dev/progress.ts';
import type { ProveReport, ProvedRun } from '../prove/prove.ts';
import { count } from '../operator/format.ts';
import { outputOption, wholeNumber, type OutputOptions } from './options.ts';
import { exitCodes } from '../operator/command-error.ts';
import { printJson, printLine, progressLine } from './output.ts';
import { type ParameterOptions, parametersOf, parameterWords, withParameters } from './parameters.ts';
import { jobNamed } from '../operator/start.ts';
import { keystride } from '../operator/called-as.ts';

interface ProveCommandOptions extends OutputOptions, ParameterOptions {
  runs: number;
  seed?: number;
  rows?: number;
  parallel: number;
}

const help = `
Runs the job once without faults, then again and again while its workers are killed and frozen at each point of a commit,
replies of the database are lost, connections cut, the database and Temporal restarted. Each run has a copy of the data;
what it leaves in PostgreSQL and MongoDB is verified by the job, compared with what the run without faults left, and its
books are checked.

All servers are its own, with the stubs of keystride.config.ts. DATABASE_URL and SOURCE_DATABASE_URL, where they are set, name
the databases to copy (on their own server: the user needs CREATEDB, and nobody else may be connected at that moment);
otherwise the data that keystride.config.ts fills empty ones with. A seed decides the faults of a run: give it again to see the same ones.

Exit codes: 0 nothing lost, nothing doubled, all books balanced, all verified; 1 anything else.

Examples:
  $ keystride prove documentMigration
  $ keystride prove targetSync --param partitions=8 --runs 200 --seed 1 -o json
  $ keystride prove targetSync --seed 17 --runs 1         a run that has failed, again`;

/** `keystride prove`: a job under faults. */
export function proveCommand(command: Command): Command {
  return withParameters(command)
    .option('--runs <n>', 'runs with faults', wholeNumber(1, 100_000), 20)
    .option('--seed <n>', 'decides the faults of the first run (default: chance)', wholeNumber(0, 2 ** 31))
    .option(
      '--rows <n>',
      'about so many rows to make and work on (default: enough for a few chunks)',
      wholeNumber(1, 1_000_000),
    )
    .option('--parallel <n>', 'runs at a time', wholeNumber(1, 16), 2)
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(proveJob);
}

/** So many chunks of rows give each partition a few; half of the demo documents are targets already. */
const chunksOfRows = 8;
const leastRows = 800;

async function proveJob(name: string, options: ProveCommandOptions): Promise<void> {
  const job = await jobNamed(name, 'Prove');
  const { databaseUrl, sourceDatabaseUrl, encryption } = loadConfig();
  const seed = options.seed ?? randomInt(1, 1_000_000);
  const chunkSizes = Object.values(job.steps).map((step) => (step.kind === 'chunk' ? step.chunkSize : 0));
  // What comes up here is never needed by another command.
  const { hasFailed, prove } = await import('../prove/prove.ts');
  const input = await parametersOf(job, options);
  const repeat = (of: number) => `${keystride} prove ${name}${parameterWords(options)} --seed ${of} --runs 1`;
  const report = await prove({
    project: await loadProject(),
    job,
    input,
    ...(encryption && { encryption }),
    seeds: Array.from({ length: options.runs }, (_, run) => seed + run),
    parallel: options.parallel,
    data: {
      rows: options.rows ?? Math.max(leastRows, chunksOfRows * Math.max(...chunkSizes)),
      ...(databaseUrl !== undefined && { databaseUrl }),
      ...(sourceDatabaseUrl !== undefined && { sourceDatabaseUrl }),
    },
    onProgress: (event) => progressLine(progressText(event)),
    onMeasured: ({ commits }, seconds) =>
      progressLine(
        `no faults   completed in ${seconds.toFixed(1)} s, ${count(commits)} transactions; seed ${seed}`,
      ),
    onRun: (run) => tell(run, hasFailed(run)),
    repeat,
  });
  if (options.output === 'json') printJson(report);
  else summarise(report, repeat);
  process.exitCode = report.failedSeeds.length === 0 ? exitCodes.done : exitCodes.failed;
}

function tell(run: ProvedRun, failed: boolean): void {
  const seconds = `${run.seconds.toFixed(1)} s`;
  progressLine(
    `seed ${String(run.seed).padEnd(6)} ${failed ? 'FAILED' : 'ok'}  ${seconds}  ${run.faults.join(', ')}`,
  );
  if (!failed) return;
  if (run.problem !== undefined) progressLine(`  ${run.problem}`);
  for (const finding of run.findings) progressLine(`  ${finding}`);
}

function summarise(report: ProveReport, repeat: (seed: number) => string): void {
  const { runs, lost, doubled, balanced, verified, faultPoints, failedSeeds } = report;
  printLine(
    `${count(runs)} runs: ${count(lost)} lost, ${count(doubled)} doubled, books ${balanced ? 'balanced' : 'NOT balanced'}, ${verified ? 'verified' : 'NOT verified'}`,
  );
  for (const [place, hits] of Object.entries(faultPoints)) printLine(`  ${place.padEnd(20)} ${count(hits)}`);
  if (failedSeeds.length === 0) return;
  printLine('failed; to see them again:');
  for (const seed of failedSeeds) printLine(`  ${repeat(seed)}`);
}
