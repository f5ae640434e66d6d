import type { Command } from 'commander';
import { catalogue } from '../operator/catalogue.ts';
import { table } from '../operator/format.ts';
import { type ListedJob, listedJob } from '../operator/listed-job.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { printJson, printLine } from './output.ts';

const help = `
Examples:
  $ keystride jobs
  $ keystride jobs -o json | jq '.[].name'`;

/** `keystride jobs`: the catalogue. */
export function jobsCommand(command: Command): Command {
  return command
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(async (options: OutputOptions) => {
      const jobs = (await catalogue()).map(listedJob);
      if (options.output === 'json') return printJson(jobs);
      jobs.forEach(show);
    });
}

function show(job: ListedJob): void {
  printLine(`${job.name}  ${job.description}`);
  const rows = job.parameters.map((parameter) => [
    `  ${parameter.name}${parameter.identifying ? '*' : ''}`,
    parameter.type,
    parameter.required
      ? 'required'
      : parameter.default === undefined
        ? 'optional'
        : `default ${JSON.stringify(parameter.default)}`,
    parameter.description,
  ]);
  for (const line of table(['  parameter', 'type', '', ''], rows)) printLine(line);
  printLine(`  steps: ${job.steps.map(({ step, kind }) => `${step} (${kind})`).join(' → ')}`);
  printLine('  * identifying: says which instance a run is of');
  printLine();
}
