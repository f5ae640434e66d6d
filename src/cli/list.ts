import { Command, Option } from 'commander';
import type { WorkflowExecutionInfo } from '@temporalio/client';
import { catalogue } from '../contract/index.ts';
import { redrive } from '../contract/redrive.ts';
import { searchAttributes } from '../contract/search-attributes.ts';
import { jobStatuses, type JobStatus } from '../contract/states.ts';
import { withSession, type Session } from './connection.ts';
import { publishedStatus } from './execution.ts';
import { count, duration, table } from './format.ts';
import { outputOption, wholeNumber, type OutputOptions } from './options.ts';
import { printJson, printLine } from './output.ts';

interface ListOptions extends OutputOptions {
  status?: JobStatus;
  job?: string;
  limit: number;
}

/** A run in a list. */
interface ListedRun {
  readonly workflowId: string;
  readonly runId: string;
  readonly job: string;
  readonly status: JobStatus;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  /** As published at the last change of state; null where the namespace lacks the search attribute. */
  readonly skipped: number | null;
}

const help = `
Examples:
  $ keystride list
  $ keystride list --status running
  $ keystride list --job documentMigration --limit 5 -o json

The same without keystride:
  $ temporal workflow list --query 'WorkflowType = "documentMigration"'`;

/** A redrive runs the steps of another job, and fails and skips as any run. */
const listedJobs = [...catalogue.map(({ name }) => name), redrive.name];

/** `keystride list`: the runs of all jobs, newest first. */
export function listCommand(): Command {
  return new Command('list')
    .description('list runs, newest first')
    .addOption(new Option('--status <status>', 'only those in this state').choices(jobStatuses))
    .addOption(new Option('--job <job>', 'only those of this job').choices(listedJobs))
    .option('--limit <n>', 'at most so many', wholeNumber(1, 10_000), 20)
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(list);
}

async function list(options: ListOptions): Promise<void> {
  const runs = await withSession((session) => readRuns(session, options));
  if (options.output === 'json') return printJson(runs);
  if (runs.length === 0) return printLine('no runs; `keystride jobs` shows what can be started');
  const now = Date.now();
  const rows = runs.map((run) => [
    run.status,
    run.startedAt.slice(0, 19).replace('T', ' '),
    duration((run.finishedAt === null ? now : Date.parse(run.finishedAt)) - Date.parse(run.startedAt)),
    run.skipped === null ? '-' : count(run.skipped),
    run.workflowId,
  ]);
  for (const line of table(['status', 'started (UTC)', 'duration', 'skipped', 'id'], rows)) printLine(line);
}

/** By workflow type and not by our search attribute: a run that was refused before it opened has none. */
async function readRuns({ client }: Session, { status, job, limit }: ListOptions): Promise<ListedRun[]> {
  const types = listedJobs.filter((name) => job === undefined || name === job);
  const query = `WorkflowType IN (${types.map((name) => `'${name}'`).join(', ')})`;
  const runs: ListedRun[] = [];
  for await (const found of client.workflow.list({ query })) {
    // Continued runs go on as the next one of the same id, which is listed too.
    if (found.status.name === 'CONTINUED_AS_NEW') continue;
    const run = listed(found);
    if (status === undefined || run.status === status) runs.push(run);
    if (runs.length >= limit) break;
  }
  return runs;
}

function listed(info: WorkflowExecutionInfo): ListedRun {
  const skipped = info.typedSearchAttributes
    .getAll()
    .find(({ key }) => key.name === searchAttributes.skipped)?.value;
  return {
    workflowId: info.workflowId,
    runId: info.runId,
    job: info.type,
    status: statusOf(info),
    startedAt: info.startTime.toISOString(),
    finishedAt: info.closeTime?.toISOString() ?? null,
    skipped: typeof skipped === 'number' ? skipped : null,
  };
}

/** A run that was ended from outside could not publish its last state. */
function statusOf(info: WorkflowExecutionInfo): JobStatus {
  const published = publishedStatus(info);
  switch (info.status.name) {
    case 'RUNNING':
      return published ?? (info.historyLength > 2 ? 'running' : 'starting');
    case 'COMPLETED':
      return published ?? 'completed';
    case 'CANCELLED':
      return 'stopped';
    default:
      return 'failed';
  }
}
