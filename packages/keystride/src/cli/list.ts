import { type Command, Option } from 'commander';
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { catalogue } from './catalogue.ts';
import { redrive } from '../contract/redrive.ts';
import { searchAttributes } from '../contract/search-attributes.ts';
import { jobStatuses, type JobStatus } from '../contract/states.ts';
import { withSession, type Session } from './connection.ts';
import { continues, publishedStatus, readExecution, timesOf } from './execution.ts';
import { count, duration, plain, table, time, tookOf } from './format.ts';
import type { Committed } from '../ledger/executions.ts';
import { committedBy } from './ledger-figures.ts';
import { outputOption, wholeNumber, type OutputOptions } from './options.ts';
import { printJson, printLine } from './output.ts';
import { keystride } from './called-as.ts';

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
  /** What the ledger says has committed of the instance; null where it is not known, or an earlier run of the id is meant. */
  readonly written: number | null;
  /** The same; else as published at the last change of state, where the namespace has the search attribute. */
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
const listedJobs = async () => [...(await catalogue()).map(({ name }) => name), redrive.name];

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

/** By workflow type and not by our search attribute: a run that was refused before it opened has none. */
async function readRuns({ client }: Session, { status, job, limit }: ListOptions): Promise<ListedRun[]> {
  const types = (await listedJobs()).filter((name) => job === undefined || name === job);
  const query = `WorkflowType IN (${types.map((name) => `'${name}'`).join(', ')})`;
  const runs: { readonly info: WorkflowExecutionInfo; readonly status: JobStatus }[] = [];
  for await (const info of client.workflow.list({ query })) {
    // Continued runs go on as the next one of the same id, which is listed too.
    if (info.status.name === 'CONTINUED_AS_NEW') continue;
    const found = await statusOf(client, info);
    if (status === undefined || found === status) runs.push({ info, status: found });
    if (runs.length >= limit) break;
  }
  const committed = await committedBy([...new Set(runs.map(({ info }) => info.workflowId))]);
  return runs.map((run) => listed(run.info, run.status, committed.get(run.info.workflowId)));
}

/** @param committed what the workflow id has committed, by whichever of its runs */
function listed(info: WorkflowExecutionInfo, status: JobStatus, committed: Committed | undefined): ListedRun {
  const published = info.typedSearchAttributes
    .getAll()
    .find(({ key }) => key.name === searchAttributes.skipped)?.value;
  const own = committed?.runId === info.runId || continues(info) ? committed : undefined;
  return {
    workflowId: info.workflowId,
    runId: info.runId,
    job: info.type,
    status,
    ...timesOf(info),
    written: own?.written ?? null,
    skipped: own?.skipped ?? (typeof published === 'number' ? published : null),
  };
}

/** A run that was ended from outside could not publish its last state, and some namespaces let nobody publish it. */
async function statusOf(client: Client, info: WorkflowExecutionInfo): Promise<JobStatus> {
  const published = publishedStatus(info);
  switch (info.status.name) {
    case 'RUNNING':
      return published ?? (info.historyLength > 2 ? 'running' : 'starting');
    case 'COMPLETED':
      return published ?? (await readExecution(client, info.workflowId, info.runId)).progress.status;
    case 'CANCELLED':
      return 'stopped';
    default:
      return 'failed';
  }
}
