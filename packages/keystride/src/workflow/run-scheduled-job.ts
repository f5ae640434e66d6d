import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { executeChild, isCancellation, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { ScheduledRun } from '../contract/activities.ts';
import { authorshipMemo, type ChangedBy, unknownOperator } from '../contract/audit.ts';
import { describeError, failure, failureTypeOf } from '../contract/errors.ts';
import type { JobProgress } from '../contract/progress.ts';
import type { NotStarted, ScheduledJobInput, ScheduledJobResult } from '../contract/scheduled-job.ts';
import { raiseAlert } from './activities.ts';
import { ledgerWork } from './ledger-work.ts';
import { placed } from './placed-failure.ts';
import { isTaken } from './start-child.ts';
import { startedBy } from './started-by.ts';

/** The time for which the schedule has planned this action, jitter not included; Temporal sets it with the start. */
const scheduledStart = defineSearchAttributeKey('TemporalScheduledStartTime', SearchAttributeType.DATETIME);

/**
 * The action of a schedule: resolves the dates, starts the job as a child under its instance's usual workflow id, and
 * lasts as long as the job does.
 *
 * It waits, though the job needs no parent, because Temporal's schedule watches its action and nothing else: were the
 * action over in a moment, overlap `skip` would skip nothing, a backfill one at a time would run all at once, and pause
 * on failure would never see a failure. The price is an open workflow of a dozen events beside each run. Whoever ends the
 * action means the run: a cancellation (overlap `cancel-other`) stops the job gracefully, a termination
 * (`terminate-other`) takes it along, as its partitions, which is safe at any instant.
 *
 * An instance that is running or complete is no failure: it is what makes one run of three schedules.
 *
 * @throws what failed the job, or kept it from starting.
 */
export async function runScheduledJob(input: ScheduledJobInput): Promise<ScheduledJobResult> {
  // Whoever writes a schedule by hand may forget the input: without this the run would wait for ever.
  if (typeof (input as Partial<ScheduledJobInput> | undefined)?.job !== 'string')
    throw failure('JobParametersInvalid', 'scheduledJob wants {"job": …, "parameters": {…}, "timeZone": …}.');
  const scheduledAt =
    input.scheduledAt ?? workflowInfo().typedSearchAttributes.get(scheduledStart)?.toISOString();
  const run = await resolve({ ...input, ...(scheduledAt === undefined ? {} : { scheduledAt }) });
  const { instance, notStarted } = run;
  setCurrentDetails(`${instance}: ${notStarted ?? 'started'}`);
  return { instance, outcome: notStarted ?? (await outcomeOf(input.job, run)) };
}

async function resolve(input: ScheduledJobInput): Promise<ScheduledRun> {
  try {
    return await ledgerWork.resolveScheduledJob(input);
  } catch (error) {
    const { job } = input;
    await tell(job, job, error);
    throw placed(job, error);
  }
}

/** A job that was not even opened raises no alert of its own, and nobody looks at two in the morning. */
async function tell(job: string, instance: string, error: unknown): Promise<void> {
  const reason = describeError(error);
  await raiseAlert({ kind: 'notStarted', job, instance, reason }).catch(() => undefined);
}

/** An action that no schedule has taken: somebody has started this workflow himself, and Temporal knows who. */
const startedByHand: ChangedBy = { operator: unknownOperator, from: 'temporal' };

async function outcomeOf(
  job: string,
  { instance, parameters, taskQueue }: ScheduledRun,
): Promise<ScheduledJobResult['outcome']> {
  try {
    const report = await executeChild<(parameters: unknown) => Promise<JobProgress>>(job, {
      workflowId: instance,
      args: [parameters],
      ...(taskQueue !== undefined && { taskQueue }),
      parentClosePolicy: 'TERMINATE',
      cancellationType: 'WAIT_CANCELLATION_COMPLETED',
      staticSummary: instance,
      memo: { [authorshipMemo]: { by: startedBy().by ?? startedByHand } },
    });
    return report.status as ScheduledJobResult['outcome'];
  } catch (error) {
    if (isCancellation(error)) throw error;
    const found = refusedAs(error);
    if (found !== undefined) return found;
    if (failureTypeOf(error) === 'JobRestartRefused') await tell(job, instance, error);
    throw placed(instance, error);
  }
}

/** The answers to a start that came second, by a moment. */
function refusedAs(error: unknown): NotStarted | undefined {
  if (isTaken(error)) return 'runningAlready';
  const type = failureTypeOf(error);
  if (type === 'JobExecutionAlreadyRunning') return 'runningAlready';
  return type === 'JobInstanceAlreadyComplete' ? 'completeAlready' : undefined;
}
