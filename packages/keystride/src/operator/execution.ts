import {
  WorkflowFailedError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowExecutionInfo,
} from '@temporalio/client';
import { TerminatedFailure } from '@temporalio/common';
import { describeError } from '../contract/errors.ts';
import { carriedMemo } from '../contract/messages.ts';
import type { CarriedState } from '../workflow/carried-state.ts';
import type { JobProgress, StepProgress } from '../contract/progress.ts';
import { searchAttributes } from '../contract/search-attributes.ts';
import { isFinal, jobStatuses, type JobStatus } from '../contract/states.ts';
import { notFound } from './failures.ts';
import type { KnownProgress } from './ledger-figures.ts';
import { readHeartbeats, withHeartbeats, type LiveProgress } from './heartbeats.ts';
import { queryProgress } from './progress-query.ts';
import { temporalCommand } from './temporal-command.ts';
import { loadSettings } from '../dev/settings.ts';
import { keystride } from './called-as.ts';

/** An execution as it stands now. */
export interface Execution {
  readonly progress: LiveProgress;
  readonly runId: string;
  /** Temporal considers the run closed: nothing will change any more. */
  readonly closed: boolean;
  /** Somebody has ended it by Temporal's own means: nothing of it has heard of that. */
  readonly terminated: boolean;
}

/**
 * Where an execution stands: what its workflow says, made fresh by the heartbeats of its pages, else what Temporal
 * itself knows. It always answers: a run that no worker serves has no steps to show, and says why.
 *
 * @param run one of several runs of the id. @default the last one
 * @throws CommandError when there is no such execution
 */
export async function readExecution(client: Client, workflowId: string, run?: string): Promise<Execution> {
  const description = await describe(client, workflowId, run);
  const { name } = description.status;
  const found = { runId: description.runId, closed: name !== 'RUNNING', terminated: name === 'TERMINATED' };
  const times = timesOf(description);
  if (found.closed) {
    const known = { ...(await closedProgress(client, description)), ...times };
    return { progress: { ...(await withFigures(known)), live: null }, ...found };
  }
  const [progress, heartbeats] = await Promise.all([
    queryProgress(client, description),
    readHeartbeats(client, description),
  ]);
  if (progress !== undefined) {
    const told = atRest.includes(progress.status) ? await withCommitted(progress) : progress;
    return { progress: { ...withHeartbeats(told, heartbeats), ...times }, ...found };
  }
  const known = await withFigures({ ...unanswered(description), ...times });
  return { progress: { ...known, live: null }, ...found };
}

/** No page works: what has committed since the workflow was told last stands in the ledger alone. */
const atRest: readonly JobStatus[] = ['paused', 'throttled', 'holding'];

/** A run at rest, with what the ledger has of its steps, where somebody has named it. */
async function withCommitted(progress: JobProgress): Promise<JobProgress> {
  if (loadSettings().databaseUrl === undefined) return progress;
  const { withCommittedOfLedger } = await import('./ledger-figures.ts');
  return withCommittedOfLedger(progress);
}

/** One that has completed has told everything. Of the others the ledger may know more, where somebody has named it. */
async function withFigures(progress: JobProgress): Promise<KnownProgress> {
  const { status } = progress;
  if (status === 'completed' || status === 'completedWithSkips') return progress;
  if (loadSettings().databaseUrl === undefined) return progress;
  const { withFiguresOfLedger } = await import('./ledger-figures.ts');
  return withFiguresOfLedger(progress);
}

/**
 * When a run began, the runs that it continues included, and when it ended: as Temporal has it, the same for whoever
 * asks and whether a worker answers or not.
 */
export function timesOf(
  run: Pick<WorkflowExecutionInfo, 'startTime' | 'closeTime' | 'memo'>,
): Pick<JobProgress, 'startedAt' | 'finishedAt'> {
  const carried = run.memo?.[carriedMemo] as Partial<CarriedState> | undefined;
  return {
    startedAt: carried?.startedAt ?? run.startTime.toISOString(),
    finishedAt: run.closeTime?.toISOString() ?? null,
  };
}

/** Whether a run goes on with the work, and under the claim, of one before it. */
export function continues(run: Pick<WorkflowExecutionInfo, 'memo'>): boolean {
  return run.memo?.[carriedMemo] !== undefined;
}

/** @throws CommandError when there is no such execution */
export async function describe(
  client: Client,
  workflowId: string,
  run?: string,
): Promise<WorkflowExecutionDescription> {
  try {
    return await client.workflow.getHandle(workflowId, run).describe();
  } catch (error) {
    throw error instanceof Error && error.name === 'WorkflowNotFoundError'
      ? notFound(workflowId, error)
      : error;
  }
}

/** A closed run: its report if it has one, else the last that the workflow said, corrected by how it ended. */
async function closedProgress(
  client: Client,
  description: WorkflowExecutionDescription,
): Promise<JobProgress> {
  const { workflowId, runId } = description;
  try {
    const handle = client.workflow.getHandle(workflowId, runId);
    const report: unknown = await handle.result();
    return isProgress(report) ? report : { ...unanswered(description), status: 'completed', reason: null };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const ending = endingOf(description, error);
    const said = (await queryProgress(client, description)) ?? unanswered(description);
    const finishedAt = said.finishedAt ?? description.closeTime?.toISOString() ?? null;
    const status = isFinal(said.status) ? said.status : ending.status;
    return { ...said, ...ending, status, finishedAt, steps: said.steps.map(ended) };
  }
}

function endingOf(
  description: WorkflowExecutionDescription,
  error: WorkflowFailedError,
): { status: JobStatus; reason: string } {
  if (description.status.name === 'CANCELLED')
    return { status: 'stopped', reason: 'the workflow was cancelled' };
  if (description.status.name === 'TIMED_OUT') return { status: 'failed', reason: 'the workflow timed out' };
  if (!(error.cause instanceof TerminatedFailure))
    return { status: 'failed', reason: describeError(error.cause) };
  const why = error.cause.message;
  const tells = why !== '' && !/^workflow execution terminated$/i.test(why);
  return { status: 'failed', reason: tells ? `terminated: ${why}` : 'terminated' };
}

/** A step cannot run on when its run is closed. */
function ended(step: StepProgress): StepProgress {
  return step.status === 'running' ? { ...step, status: 'stopped' } : step;
}

/** What Temporal knows of a run by itself. */
function unanswered(description: WorkflowExecutionDescription): JobProgress {
  const begun = description.historyLength > 2;
  return {
    job: description.type,
    instance: null,
    parameters: null,
    workflowId: description.workflowId,
    status: publishedStatus(description) ?? (begun ? 'running' : 'starting'),
    reason: whyUnanswered(description),
    startedAt: description.startTime.toISOString(),
    finishedAt: null,
    tuning: null,
    steps: [],
  };
}

/** Workers that fail the workflow's task are there, and of the wrong build; a new one of the same kind would not help. */
function whyUnanswered({ raw, taskQueue, type, workflowId }: WorkflowExecutionDescription): string {
  const attempts = raw.pendingWorkflowTask?.attempt ?? 0;
  if (attempts <= 1) return `no worker answers on task queue ${taskQueue}; start one: ${keystride} worker`;
  return (
    `the workers on task queue ${taskQueue} cannot go on with it (attempt ${attempts}): their build does not know ` +
    `${type}, or has another flow of it; start workers of the build that it needs (it is tried again within ten minutes). ` +
    `Why: ${temporalCommand(loadSettings(process.env, ['temporal']), 'workflow', 'show', '--workflow-id', workflowId)}`
  );
}

/** The state that a run has published as a search attribute, where the namespace has it. */
export function publishedStatus(
  run: Pick<WorkflowExecutionDescription, 'typedSearchAttributes'>,
): JobStatus | undefined {
  const published = run.typedSearchAttributes
    .getAll()
    .find(({ key }) => key.name === searchAttributes.status);
  return jobStatuses.find((status) => status === published?.value);
}

function isProgress(value: unknown): value is JobProgress {
  return (
    typeof value === 'object' && value !== null && 'status' in value && 'steps' in value && 'job' in value
  );
}
