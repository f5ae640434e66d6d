import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { redrive } from '../contract/redrive.ts';
import { searchAttributes } from '../contract/search-attributes.ts';
import type { JobStatus } from '../contract/states.ts';
import type { Committed } from '../ledger/executions.ts';
import { catalogue } from './catalogue.ts';
import type { Session } from './connection.ts';
import { continues, publishedStatus, readExecution, timesOf } from './execution.ts';
import { committedBy } from './ledger-figures.ts';

/** A run in a list. */
export interface ListedRun {
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

/** Which runs are listed. */
export interface RunFilter {
  readonly status?: JobStatus;
  readonly job?: string;
  /** At most so many. */
  readonly limit: number;
}

/** A redrive runs the steps of another job, and fails and skips as any run. */
export const listedJobs = async (): Promise<string[]> => [
  ...(await catalogue()).map(({ name }) => name),
  redrive.name,
];

/**
 * The runs of all jobs, newest first: by workflow type and not by our search attribute, since a run that was refused
 * before it opened has none.
 */
export async function readRuns({ client }: Session, { status, job, limit }: RunFilter): Promise<ListedRun[]> {
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
