import { failure } from './errors.ts';
import { holdsExpression, resolveExpressions, type ScheduledMoment } from './date-expressions.ts';
import type { JobDefinition } from './job.ts';
import { instanceKey, parameterFromText, parseParameters } from './parameters.ts';
import { type HashKey, sensitiveParameters } from './sensitive.ts';
import type { JobStatus } from './states.ts';

/** The workflow type that a schedule starts. */
export const scheduledJobType = 'scheduledJob';

/** What the workflow `scheduledJob` takes, as a schedule's action holds it. */
export interface ScheduledJobInput {
  readonly job: string;
  /** As for a start of the job; texts may hold date expressions. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** In which the dates are meant: the schedule's own. @default UTC */
  readonly timeZone?: string;
  /** ISO time, for a start by hand. @default what Temporal's schedule has noted with the start */
  readonly scheduledAt?: string;
}

/** What became of one action of a schedule. */
export interface ScheduledJobResult {
  readonly instance: string;
  /**
   * How the job that was started ended, or why none was started: the instance was running, or had completed, which is
   * what makes one run of several schedules of the same instance.
   */
  readonly outcome: Extract<JobStatus, 'completed' | 'completedWithSkips' | 'stopped'> | NotStarted;
}

/** Why an action has started nothing. */
export type NotStarted = 'runningAlready' | 'completeAlready';

/** A run as a schedule asks for it at one moment. */
export interface ResolvedRun {
  readonly instance: string;
  /** The workflow's single argument. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/**
 * What a schedule starts at a moment: the parameters with their dates, and the instance that they name.
 *
 * @param key hashes sensitive parameters
 * @throws JobParametersInvalid
 */
export function resolveRun(
  job: JobDefinition,
  { parameters = {} }: Pick<ScheduledJobInput, 'parameters'>,
  moment: ScheduledMoment | undefined,
  key: HashKey,
): ResolvedRun {
  const resolved = Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name, resolveValue(job, name, value, moment)]),
  );
  return { instance: instanceKey(job, parseParameters(job, resolved), key), parameters: resolved };
}

function resolveValue(
  job: JobDefinition,
  name: string,
  value: unknown,
  moment: ScheduledMoment | undefined,
): unknown {
  // A sensitive value means what it is: what is wrong with an expression would be told.
  if (!holdsExpression(value) || sensitiveParameters(job).has(name)) return value;
  if (moment === undefined)
    throw failure(
      'JobParametersInvalid',
      `${job.name}: ${name} is ${value}, and nobody has said for when this was scheduled. ` +
        'Start it by a schedule, or give "scheduledAt" with the input.',
    );
  return parameterFromText(job, name, resolveExpressions(value, moment));
}
