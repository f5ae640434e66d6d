import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { executionInfoFromRaw } from '@temporalio/client/lib/helpers.js';
import { searchAttributes } from '../contract/search-attributes.ts';
import type { JobStatus } from '../contract/states.ts';
import type { Committed, OpenStep } from '../ledger/run-figures.ts';
import type { Session } from './connection.ts';
import { continues, publishedStatus, readExecution, timesOf } from './execution.ts';
import { committedBy } from './ledger-figures.ts';
import { groupQueryOf, queryOf, type RunFilter, type RunGroup, runGroups } from './run-query.ts';

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
  /** The step that is open in the ledger; null for none, for a run that has ended, or where the ledger is not known. */
  readonly open: OpenStep | null;
}

/** Some runs of a list, and where it goes on. */
export interface RunPage {
  readonly runs: readonly ListedRun[];
  /** What `after` takes to go on behind them; null at the end. */
  readonly next: string | null;
}

/** Which part of a list is read. */
export interface PageChoice {
  /** At most so many. */
  readonly limit: number;
  /** What a page before has said. @default from the beginning */
  readonly after?: string | undefined;
}

/**
 * A part of the runs of all jobs: those that go on first, then the others, the last that ended first. Temporal goes on
 * from where a page has ended, however many there are.
 */
export async function listRuns(
  session: Session,
  filter: RunFilter,
  { limit, after }: PageChoice,
): Promise<RunPage> {
  const { client } = session;
  const { executions, nextPageToken } = await client.workflowService.listWorkflowExecutions({
    namespace: client.options.namespace,
    query: await queryOf(session, filter),
    pageSize: limit,
    ...(after !== undefined && { nextPageToken: Buffer.from(after, 'base64url') }),
  });
  const infos = await Promise.all(
    executions.map((raw) =>
      executionInfoFromRaw(raw, client.options.loadedDataConverter, raw, client.options.namespace),
    ),
  );
  const found = await Promise.all(
    infos.map(async (info) => ({ info, status: await statusOf(client, info) })),
  );
  const committed = await committedBy([...new Set(infos.map(({ workflowId }) => workflowId))]);
  return {
    runs: found.map(({ info, status }) => listed(info, status, committed.get(info.workflowId))),
    next: nextPageToken?.length ? Buffer.from(nextPageToken).toString('base64url') : null,
  };
}

/** How many runs there are, by group; those that Temporal can tell apart. One call counts all that its own states tell. */
export async function countRuns(
  session: Session,
  filter: Omit<RunFilter, 'group'>,
): Promise<{ readonly all: number; readonly groups: Readonly<Partial<Record<RunGroup, number>>> }> {
  const count = async (group: RunGroup | undefined, rest = '') =>
    session.client.workflow.count((await queryOf(session, { ...filter, group })) + rest);
  const byState = count(undefined, ' GROUP BY ExecutionStatus');
  const groups = await Promise.all(
    runGroups.map(async (group) => {
      const asked = await groupQueryOf(session, group);
      if (asked === undefined) return [];
      if ('told' in asked) return [[group, (await count(group)).count]] as const;
      const states = (await byState).groups.filter(({ groupValues: [state] }) =>
        asked.own.includes(String(state)),
      );
      return [[group, states.reduce((sum, state) => sum + state.count, 0)]] as const;
    }),
  );
  return { all: (await byState).count, groups: Object.fromEntries(groups.flat()) };
}

/** Which runs the command lists. */
export interface ListRequest {
  readonly status?: JobStatus;
  readonly job?: string;
  readonly limit: number;
}

/** Runs of a page that is asked of Temporal. */
const mostAtATime = 200;

/** The runs of all jobs, up to a limit; in one state alone, whether the namespace knows states or not. */
export async function readRuns(
  session: Session,
  { status, job, limit }: ListRequest,
): Promise<readonly ListedRun[]> {
  const runs: ListedRun[] = [];
  let after: string | undefined;
  do {
    const choice = { limit: Math.min(limit, mostAtATime), after };
    const page = await listRuns(session, { job }, choice);
    runs.push(...page.runs.filter((run) => status === undefined || run.status === status));
    after = page.next ?? undefined;
  } while (after !== undefined && runs.length < limit);
  return runs.slice(0, limit);
}

/** @param committed what the workflow id has committed, by whichever of its runs */
function listed(info: WorkflowExecutionInfo, status: JobStatus, committed?: Committed): ListedRun {
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
    open: info.status.name === 'RUNNING' ? (own?.open ?? null) : null,
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
