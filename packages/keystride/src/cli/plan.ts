import type { Command } from 'commander';
import type { JobForecast, PlannedStep } from '../host/plan-job.ts';
import { sizeOf, spanOf } from '../operator/plan-words.ts';
import { forecastOf } from '../operator/plan.ts';
import { count, duration, plain } from '../operator/format.ts';
import { outputOption, type OutputOptions, wholeNumber } from './options.ts';
import { exitCodes } from '../operator/command-error.ts';
import { printJson, printLine, progressLine } from './output.ts';
import { type ParameterOptions, parametersOf, withParameters } from './parameters.ts';
import { jobNamed } from '../operator/start.ts';

interface PlanCommandOptions extends OutputOptions, ParameterOptions {
  rows: number;
  seconds: number;
}

const help = `
The first chunks of each step are read, processed and written in a transaction that is rolled back, each step seeing what
those before it have written; a tasklet is not tried after a step that was tried in part. Nothing outside that database is written to: a step that writes to other stores does so in
its writer's prepare, which is left out. Calls of an API that only reads are made. Exit code 1 when a step would fail.

The rows it shows are the data: nobody else sees them, and they are in no log.

Examples:
  $ keystride plan purchaseConfirmation --param deliveredBefore=2025-10-01
  $ keystride plan documentMigration --rows 0 -o json`;

/** `keystride plan`: what a run of a job would be like. */
export function planCommand(command: Command): Command {
  return withParameters(command)
    .option('--rows <n>', 'rows shown of each step', wholeNumber(0, 100), 3)
    .option('--seconds <n>', 'how long each step is tried at most', wholeNumber(1, 600), 5)
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(plan);
}

async function plan(name: string, options: PlanCommandOptions): Promise<void> {
  const job = await jobNamed(name, 'Plan');
  const input = await parametersOf(job, options);
  progressLine(`trying the first chunks of ${name}; everything is rolled back …`);
  const forecast = await forecastOf(job, input, { samples: options.rows, trySeconds: options.seconds });
  if (forecast.steps.some(({ problems }) => problems.length > 0)) process.exitCode = exitCodes.failed;
  if (options.output === 'json') return printJson(forecast);
  show(forecast);
}

function show({ instance, steps }: JobForecast): void {
  printLine(`${instance}  nothing was written`);
  for (const step of steps) {
    printLine(`${step.step} (${step.kind})  ${sizeOf(step)}`.trimEnd());
    for (const line of detailsOf(step)) printLine(`  ${line}`);
  }
}

function detailsOf({ tried, seconds, events, problems, notTried }: PlannedStep): string[] {
  const { read, written, filtered, skipped } = tried;
  return [
    ...(notTried ? [`not tried, since ${notTried}`] : []),
    ...(read > 0
      ? [
          `tried     ${count(read)} read, ${count(written)} written, ${count(filtered)} filtered, ${count(skipped)} skipped in ${duration(tried.seconds * 1000)}`,
        ]
      : []),
    ...(seconds ? [`estimate  ${spanOf(seconds)}, about ${count(events)} events of history`] : []),
    ...tried.samples.flatMap(({ before, after }) => [
      `read      ${plain(JSON.stringify(before), 160)}`,
      `written   ${plain(JSON.stringify(after), 160)}`,
    ]),
    ...problems.map((problem) => `problem   ${plain(problem, 500)}`),
  ];
}
