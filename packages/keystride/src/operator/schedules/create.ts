import { ScheduleAlreadyRunning, ScheduleOverlapPolicy, type ScheduleOptions } from '@temporalio/client';
import { startOfDay } from '../../contract/date-expressions.ts';
import { inMarkdown } from '../../contract/inert.ts';
import type { JobDefinition } from '../../contract/job.ts';
import { resolveRun, type ScheduledJobInput, scheduledJobType } from '../../contract/scheduled-job.ts';
import type { HashKey } from '../../contract/sensitive.ts';
import { shellWord } from '../../contract/shell.ts';
import { taskQueueOf } from '../../settings/task-queues.ts';
import { keystride } from '../called-as.ts';
import { CommandError, exitCodes } from '../command-error.ts';
import type { Session } from '../connection.ts';
import { plain } from '../format.ts';
import { lostToClocks } from './clocks.ts';
import { checkCron, surprisesOf } from './cron.ts';
import { enterScheduleChange, type ScheduleAuthor } from './enter.ts';
import { describeSchedule, type DescribedSchedule } from './read.ts';

/** What happens when an action is due while the one before it still runs, as the command line names it. */
export const overlapPolicies = {
  skip: ScheduleOverlapPolicy.SKIP,
  'buffer-one': ScheduleOverlapPolicy.BUFFER_ONE,
  'buffer-all': ScheduleOverlapPolicy.BUFFER_ALL,
  'cancel-other': ScheduleOverlapPolicy.CANCEL_OTHER,
  'terminate-other': ScheduleOverlapPolicy.TERMINATE_OTHER,
  'allow-all': ScheduleOverlapPolicy.ALLOW_ALL,
} as const;

/** One of {@link overlapPolicies}. */
export type OverlapName = keyof typeof overlapPolicies;

/** A schedule as it is asked for. */
export interface ScheduleRequest {
  readonly scheduleId: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Five fields, or `@daily`, `@every 90m`; any of them. */
  readonly cron: readonly string[];
  /** An IANA name. */
  readonly timeZone: string;
  readonly overlap: OverlapName;
  /** How late an action may still begin, in milliseconds. @default a year */
  readonly catchupWindow?: number | undefined;
  readonly pauseOnFailure?: boolean | undefined;
  /** Begins up to so many milliseconds later, at random. */
  readonly jitter?: number | undefined;
  readonly paused?: boolean | undefined;
  readonly note?: string | undefined;
}

/** A schedule that was made, and what may surprise whoever has made it. */
export interface CreatedSchedule extends DescribedSchedule {
  readonly warnings: readonly string[];
}

/**
 * Checks a schedule's times, dates and parameters, then makes it.
 * @throws CommandError when there is one of that id, or Temporal refuses it; JobParametersInvalid
 */
export async function createSchedule(
  session: Session,
  job: JobDefinition,
  request: ScheduleRequest,
  author: ScheduleAuthor,
): Promise<CreatedSchedule> {
  const { scheduleId, parameters, timeZone, cron } = request;
  const hashKey = session.config.encryption?.hashKey;
  const instance = firstInstance(job, request, hashKey);
  const input: ScheduledJobInput = { job: job.name, parameters, timeZone };
  await create(session, input, request);
  const created = await describeSchedule(session, scheduleId);
  const { overlap, paused } = created;
  await enterScheduleChange(author, {
    ...{ action: 'schedule create', scheduleId, job: job.name },
    after: { cron, timeZone, overlap, paused },
  });
  const warnings = [
    ...staysTheSame(job, input, { instance, hashKey }),
    ...cron.flatMap(surprisesOf),
    ...(await lostToClocks(session, scheduleId, timeZone)),
  ];
  return { ...created, warnings };
}

/** The instance of an action now. Whatever is wrong with the parameters is said now, not at two in the morning. */
function firstInstance(
  job: JobDefinition,
  { cron, timeZone, parameters }: ScheduleRequest,
  key: HashKey,
): string {
  cron.forEach(checkCron);
  // Temporal, too, refuses a zone that nobody knows; this names it.
  startOfDay('2025-01-01', timeZone);
  return resolveRun(job, { parameters }, { scheduledAt: new Date(), timeZone }, key).instance;
}

async function create(
  { client, config }: Session,
  input: ScheduledJobInput,
  request: ScheduleRequest,
): Promise<void> {
  const { scheduleId } = request;
  const schedule: ScheduleOptions = {
    scheduleId,
    spec: {
      cronExpressions: [...request.cron],
      timezone: request.timeZone,
      ...(request.jitter === undefined ? {} : { jitter: request.jitter }),
    },
    policies: {
      overlap: overlapPolicies[request.overlap],
      pauseOnFailure: request.pauseOnFailure === true,
      ...(request.catchupWindow === undefined ? {} : { catchupWindow: request.catchupWindow }),
    },
    action: {
      type: 'startWorkflow',
      workflowType: scheduledJobType,
      // Temporal appends the scheduled time.
      workflowId: `scheduled:${scheduleId}`,
      taskQueue: taskQueueOf(config, input.job),
      args: [input],
      staticSummary: inMarkdown(`${input.job}, by schedule ${scheduleId}`),
    },
    // The server keeps calendars; people look for what they have written.
    memo: { cron: request.cron },
    state: {
      paused: request.paused === true,
      ...(request.note === undefined ? {} : { note: request.note }),
    },
  };
  await makeSchedule({ client }, schedule);
}

/** Has Temporal make a schedule. @throws CommandError when there is one of that id, or Temporal refuses it */
export async function makeSchedule(
  { client }: Pick<Session, 'client'>,
  schedule: ScheduleOptions,
): Promise<void> {
  try {
    await client.schedule.create(schedule);
  } catch (error) {
    throw explained(error, schedule.scheduleId);
  }
}

function explained(error: unknown, scheduleId: string): unknown {
  if (error instanceof ScheduleAlreadyRunning)
    return new CommandError(
      {
        what: `there is a schedule ${scheduleId} already`,
        todo: `Give another --id, or delete it first. See it: ${keystride} schedule describe ${shellWord(scheduleId)}`,
      },
      { cause: error, type: 'ScheduleExists', details: { scheduleId } },
    );
  // What the server calls an invalid argument, Temporal's client calls a TypeError.
  if (!(error instanceof TypeError)) return error;
  return new CommandError(
    {
      what: `Temporal refuses the schedule: ${plain(error.message)}`,
      todo: `Correct --cron or --timezone. See examples: ${keystride} schedule create --help`,
    },
    { cause: error, exitCode: exitCodes.usage, type: 'ScheduleInvalid' },
  );
}

/** A completed instance is not run again: a schedule that names the same one each time runs once. */
function staysTheSame(
  job: JobDefinition,
  { parameters, timeZone = 'UTC' }: ScheduledJobInput,
  { instance, hashKey }: { readonly instance: string; readonly hashKey: HashKey },
): string[] {
  const inTwoYears = new Date(Date.now() + 2 * 366 * 86_400_000);
  const moment = { scheduledAt: inTwoYears, timeZone };
  const later = resolveRun(job, { ...(parameters && { parameters }) }, moment, hashKey);
  if (later.instance !== instance) return [];
  return [
    `every action names the same instance, ${instance}, which completes once; ` +
      `give an identifying parameter a date expression, such as {{scheduled}} or {{scheduled:epoch}}`,
  ];
}
