import {
  ApplicationFailure,
  CancellationScope,
  patched,
  proxyActivities,
  proxyLocalActivities,
} from '@temporalio/workflow';
import type { EngineActivities } from '../contract/activities.ts';
import { workWithinTasks } from '../contract/level.ts';
import { heartbeatTimeout } from './activities.ts';

/** What is asked of the ledger besides pages. */
type LedgerWork = Pick<
  EngineActivities,
  | 'openJob'
  | 'describeInstance'
  | 'findInstance'
  | 'resolveScheduledJob'
  | 'openStep'
  | 'splitPartition'
  | 'closeStep'
  | 'closeJob'
>;

/** Short, but for the plan of a large table. A ledger that is away is waited for: giving up would leave the instance claimed. */
const queued = proxyActivities<LedgerWork>({
  startToCloseTimeout: '5 minutes',
  scheduleToCloseTimeout: '1 hour',
  heartbeatTimeout,
  retry: { initialInterval: '1 second', maximumInterval: '15 seconds' },
});

/** Once, and for as long as a workflow task may well last: what takes longer is not short. */
const within = proxyLocalActivities<LedgerWork>({
  scheduleToCloseTimeout: '2 seconds',
  retry: { maximumAttempts: 1 },
});

/**
 * How often a run asks within its workflow tasks. Their answers are sent to the server with the end of the task, together:
 * a flow that finds thousands of jobs completed would send more than a message may have, and would not hear that its
 * history has grown long.
 */
const mostWithin = 16;

/** Of this run. Each has this module to itself. */
let asked = 0;

/**
 * The ledger's work, without a round trip over the queue where it is short: a small run is opened, planned and closed in
 * the workflow tasks that it has anyway.
 *
 * It is asked for within the task first, once. What has not been answered then (it takes long, its ledger is away, its
 * worker ends) is asked for on the queue, where whoever has room does it, for as long as it takes. Both may be under way at
 * a time, as two attempts of an activity may: all of it is safe to be done twice.
 */
export const ledgerWork: LedgerWork = {
  openJob: (request) => ask(request, within.openJob, queued.openJob),
  describeInstance: (request) => ask(request, within.describeInstance, queued.describeInstance),
  findInstance: (request) => ask(request, within.findInstance, queued.findInstance),
  resolveScheduledJob: (input) => ask(input, within.resolveScheduledJob, queued.resolveScheduledJob),
  openStep: (request) => ask(request, within.openStep, queued.openStep),
  splitPartition: (request) => queued.splitPartition(request),
  closeStep: (request) => ask(request, within.closeStep, queued.closeStep),
  // A run that has failed calls the job's own hook and raises an alert.
  closeJob: (request) =>
    request.outcome === 'completed'
      ? ask(request, within.closeJob, queued.closeJob)
      : queued.closeJob(request),
};

/** @throws what refuses it, at once; what the queue throws. */
async function ask<Request, Answer>(
  request: Request,
  soon: (request: Request) => Promise<Answer>,
  whenever: (request: Request) => Promise<Answer>,
): Promise<Answer> {
  if (asked >= mostWithin || !patched(workWithinTasks)) return whenever(request);
  asked++;
  try {
    return await soon(request);
  } catch (error) {
    if (isVerdict(error) || CancellationScope.current().consideredCancelled) throw error;
    return whenever(request);
  }
}

/** Whether it was answered, and the answer is no. */
function isVerdict(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause)
    if (at instanceof ApplicationFailure && at.nonRetryable === true) return true;
  return false;
}
