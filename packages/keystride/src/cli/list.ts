import { type Command, Option } from 'commander';
import { jobStatuses } from '../contract/states.ts';
import { withSession } from '../operator/connection.ts';
import { count, duration, plain, table, time, tookOf } from '../operator/format.ts';
import { listedJobs } from '../operator/run-query.ts';
import { readRuns, type ListRequest } from '../operator/runs.ts';
import { outputOption, wholeNumber, type OutputOptions } from './options.ts';
import { printJson, printLine } from './output.ts';
import { keystride } from '../operator/called-as.ts';

type ListOptions = OutputOptions & ListRequest;

const help = `
Examples:
  $ keystride list
  $ keystride list --status running
  $ keystride list --job documentMigration --limit 5 -o json

The same without keystride:
  $ temporal workflow list --query 'WorkflowType = "documentMigration"'`;

/** `keystride list`: the runs of all jobs, newest first. */
export async function listCommand(command: Command): Promise<Command> {
  return command
    .addOption(new Option('--status <status>', 'only those in this state').choices(jobStatuses))
    .addOption(new Option('--job <job>', 'only those of this job').choices(await listedJobs()))
    .option('--limit <n>', 'at most so many', wholeNumber(1, 10_000), 20)
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(list);
}

async function list(options: ListOptions): Promise<void> {
  const runs = await withSession((session) => readRuns(session, options));
  if (options.output === 'json') return printJson(runs);
  if (runs.length === 0) return printLine(`no runs; \`${keystride} jobs\` shows what can be started`);
  const rows = runs.map((run) => [
    run.status,
    time(run.startedAt),
    duration(tookOf(run)),
    run.written === null ? '-' : count(run.written),
    run.skipped === null ? '-' : count(run.skipped),
    plain(run.workflowId),
  ]);
  for (const line of table(['status', 'started', 'duration', 'written', 'skipped', 'id'], rows))
    printLine(line);
}
