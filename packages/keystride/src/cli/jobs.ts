import type { Command } from 'commander';
import { z } from 'zod';
import { catalogue } from './catalogue.ts';
import type { JobDefinition } from '../contract/job.ts';
import { identifyingParameters } from '../contract/parameters.ts';
import { table } from './format.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { printJson, printLine } from './output.ts';

/** A job as the catalogue shows it. */
interface ListedJob {
  readonly name: string;
  readonly description: string;
  readonly parameters: readonly ListedParameter[];
  readonly steps: readonly { readonly step: string; readonly kind: string }[];
}

interface ListedParameter {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly default?: unknown;
  readonly description: string;
  /** Whether it says which instance a run is of. */
  readonly identifying: boolean;
}

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

function listedJob(job: JobDefinition): ListedJob {
  const schema = z.toJSONSchema(job.parameters, { io: 'input', unrepresentable: 'any' });
  const identifying = new Set(identifyingParameters(job));
  return {
    name: job.name,
    description: job.description,
    parameters: Object.entries(schema.properties ?? {}).map(([name, property]) => {
      const { type, enum: values, default: byDefault } = typeof property === 'object' ? property : {};
      return {
        name,
        type: values === undefined ? [type ?? 'any'].flat().join(' | ') : values.join(' | '),
        required: schema.required?.includes(name) ?? false,
        ...(byDefault !== undefined && { default: byDefault }),
        description: descriptionOf(job.parameters.shape[name]),
        identifying: identifying.has(name),
      };
    }),
    steps: Object.entries(job.steps).map(([step, { kind }]) => ({ step, kind })),
  };
}

/** The JSON schema loses it where other metadata was added after it. */
function descriptionOf(schema: unknown): string {
  return (schema instanceof z.ZodType ? schema.description : undefined) ?? '';
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
