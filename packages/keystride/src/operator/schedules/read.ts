import {
  type ScheduleDescription,
  type ScheduleExecutionResult,
  ScheduleNotFoundError,
  type WorkflowExecutionDescription,
} from '@temporalio/client';
import { findJob } from '../catalogue.ts';
import {
  resolveRun,
  type ScheduledJobInput,
  scheduledJobType,
  type ScheduledJobResult,
} from '../../contract/scheduled-job.ts';
import type { Session } from '../connection.ts';
import { sensitiveParameters } from '../../contract/sensitive.ts';
import type { Config } from '../../settings/config.ts';
import { CommandError } from '../command-error.ts';
import { keystride } from '../called-as.ts';

/** An action that is to come. */
export interface NextAction {
  /** ISO time. */
  readonly at: string;
  /** What it will run; null where that cannot be said. */
  readonly instance: string | null;
}

/** An action that was taken. */
export interface TakenAction {
  readonly scheduledAt: string;
  readonly takenAt: string;
  /** Of the workflow that the schedule started, which runs the job as its child. */
  readonly workflowId: string;
  readonly runId: string;
  readonly instance: string | null;
  /** `running`, `failed`, or what the workflow scheduledJob has answered; null where Temporal keeps it no more. */
  readonly outcome: string | null;
}

/** A schedule as people and scripts want it. */
export interface DescribedSchedule {
  readonly scheduleId: string;
  readonly job: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly timeZone: string;
  /** As it was written; empty for a schedule that was made otherwise than by cron expressions. */
  readonly cron: readonly string[];
  readonly paused: boolean;
  readonly note: string | null;
  readonly overlap: string;
  readonly catchupWindowSeconds: number;
  readonly pauseOnFailure: boolean;
  readonly jitterSeconds: number;
  readonly next: readonly NextAction[];
  /** Newest first. */
  readonly last: readonly TakenAction[];
  readonly taken: number;
  readonly missedCatchup: number;
  readonly skippedOverlap: number;
}

/** @throws CommandError when there is no such schedule */
export async function describeSchedule(
  { client, config }: Session,
  scheduleId: string,
  lastActions = 10,
): Promise<DescribedSchedule> {
  const found = await asFound(scheduleId, () => client.schedule.getHandle(scheduleId).describe());
  const input = inputOf(found);
  const timeZone = found.spec.timezone || 'UTC';
  const jitter = found.spec.jitter ?? 0;
  const recent = found.info.recentActions.slice(-lastActions).toReversed();
  const last = await Promise.all(
    recent.map((action) => takenAction({ client, config }, input, jitter, action)),
  );
  return {
    scheduleId,
    job: input.job,
    parameters: await shownOf(input, config),
    timeZone,
    cron: cronOf(found),
    paused: found.state.paused,
    note: found.state.note || null,
    overlap: (found.policies.overlap ?? 'SKIP').toLowerCase().replace('_', '-'),
    catchupWindowSeconds: found.policies.catchupWindow / 1000,
    pauseOnFailure: found.policies.pauseOnFailure,
    jitterSeconds: jitter / 1000,
    next: await nextActions(input, found.info.nextActionTimes, jitter, config),
    last,
    taken: found.info.numActionsTaken,
    missedCatchup: found.info.numActionsMissedCatchupWindow,
    skippedOverlap: found.info.numActionsSkippedOverlap,
  };
}

/**
 * Asks Temporal about a schedule.
 * @throws CommandError when there is no such schedule
 */
export async function asFound<Result>(scheduleId: string, ask: () => Promise<Result>): Promise<Result> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
    throw new CommandError(
      {
        what: `no schedule has the id ${scheduleId}`,
        todo: `See which there are: ${keystride} schedule list`,
      },
      { cause: error, type: 'NotFound', details: { scheduleId } },
    );
  }
}

/** What the action runs: a schedule may also start a job itself, without date expressions. */
export function inputOf({ action }: ScheduleDescription): ScheduledJobInput {
  const [given] = (action.args ?? []) as readonly unknown[];
  const input = typeof given === 'object' && given !== null ? given : {};
  if (action.workflowType !== scheduledJobType)
    return { job: action.workflowType, parameters: input as Readonly<Record<string, unknown>> };
  const { job = '', ...rest } = input as Partial<ScheduledJobInput>;
  return { job, ...rest };
}

/**
 * The parameters of an action as they may be shown. Of a job that is not known here nobody can tell which are sensitive:
 * then none is shown that was encrypted.
 */
async function shownOf(
  { job: name, parameters = {} }: ScheduledJobInput,
  { encryption }: Pick<Config, 'encryption'>,
): Promise<Readonly<Record<string, unknown>>> {
  const job = await findJob(name);
  const isShown = (parameter: string) => (job ? !sensitiveParameters(job).has(parameter) : !encryption);
  return Object.fromEntries(
    Object.entries(parameters).map(([parameter, value]) => [parameter, isShown(parameter) ? value : '•••']),
  );
}

/** What runs at these times. */
export function nextActions(
  input: ScheduledJobInput,
  times: readonly Date[],
  jitterMs: number,
  config: Pick<Config, 'encryption'>,
): Promise<NextAction[]> {
  return Promise.all(
    times.map(async (at) => ({
      at: at.toISOString(),
      instance: await instanceAt(input, at, jitterMs, config),
    })),
  );
}

/**
 * The instance that an action scheduled for this time names; null where the job is not known, its parameters are wrong,
 * or the jitter in the time leaves two to choose from.
 */
async function instanceAt(
  input: ScheduledJobInput,
  at: Date,
  jitterMs: number,
  { encryption }: Pick<Config, 'encryption'>,
): Promise<string | null> {
  const job = await findJob(input.job);
  if (job === undefined) return null;
  const timeZone = input.timeZone ?? 'UTC';
  try {
    const [latest, earliest] = [at, new Date(at.getTime() - jitterMs)].map(
      (scheduledAt) => resolveRun(job, input, { scheduledAt, timeZone }, encryption?.hashKey).instance,
    );
    return latest !== undefined && latest === earliest ? latest : null;
  } catch {
    return null;
  }
}

async function takenAction(
  { client, config }: Session,
  input: ScheduledJobInput,
  jitter: number,
  { scheduledAt, takenAt, action }: ScheduleExecutionResult,
): Promise<TakenAction> {
  const { workflowId, firstExecutionRunId: runId } = action.workflow;
  const { outcome, instance } = await endOf(client, workflowId, runId);
  return {
    scheduledAt: scheduledAt.toISOString(),
    takenAt: takenAt.toISOString(),
    workflowId,
    runId,
    instance: instance ?? (await instanceAt(input, scheduledAt, jitter, config)),
    outcome,
  };
}

async function endOf(
  client: Session['client'],
  workflowId: string,
  runId: string,
): Promise<{ outcome: string | null; instance?: string | undefined }> {
  const handle = client.workflow.getHandle(workflowId, runId);
  let status: WorkflowExecutionDescription['status']['name'];
  try {
    status = (await handle.describe()).status.name;
  } catch (error) {
    if (error instanceof Error && error.name === 'WorkflowNotFoundError') return { outcome: null };
    throw error;
  }
  if (status === 'RUNNING') return { outcome: 'running' };
  if (status === 'CANCELLED') return { outcome: 'stopped' };
  if (status !== 'COMPLETED') return { outcome: 'failed' };
  const result = (await handle.result()) as (Partial<ScheduledJobResult> & { status?: string }) | null;
  return { outcome: result?.outcome ?? result?.status ?? 'completed', instance: result?.instance };
}

export function cronOf({ memo }: ScheduleDescription): readonly string[] {
  const cron: unknown = memo?.['cron'];
  return Array.isArray(cron) ? cron.map(String) : [];
}

/** A moment as the clocks of a time zone show it, to the minute: `2025-10-01 02:00 Asia/Seoul`. */
export function localTime(at: string, timeZone: string): string {
  const shown = new Intl.DateTimeFormat('sv-SE', {
    timeZone,
    dateStyle: 'short',
    timeStyle: 'short',
  }).format(new Date(at));
  return `${shown} ${timeZone}`;
}
