import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  makeContinueAsNewFunc,
  patched,
  workflowInfo,
  type Workflow,
} from '@temporalio/workflow';
import type { Claim } from '../contract/claim.ts';
import type { InputOf, JobDefinition } from '../contract/job.ts';
import { cutText, describeError, failure, failureTypeOf, type FailureType } from '../contract/errors.ts';
import { type FailurePlace, failurePlaceOf } from '../contract/failure-place.ts';
import { carriedMemo } from '../contract/messages.ts';
import type { JobProgress, StepProgress } from '../contract/progress.ts';
import { raiseAlert } from './activities.ts';
import { obey } from './obey.ts';
import { wasAway } from './away.ts';
import { setControls } from './controls.ts';
import { interruptionIn, JobStopped, JobYielded } from './interruption.ts';
import type { CarriedState } from './carried-state.ts';
import { JobRun } from './job-run.ts';
import type { JobFlow } from './job-flow.ts';
import { ledgerWork } from './ledger-work.ts';
import { type JobWorkflow, runNestedJob } from './nested-job.ts';
import { placed } from './placed-failure.ts';
import { runStep } from './run-step.ts';
import { startedBy } from './started-by.ts';
import { waitBetween } from './wait.ts';

/** What a run hands to the one that continues it. */
interface Carried extends CarriedState {
  readonly claim: Claim;
}

/**
 * Runs the job that the workflow is named after: claims its instance, follows its flow, and releases the instance,
 * whatever happens.
 *
 * ```ts
 * export async function purchaseConfirmation(parameters: InputOf<typeof contract>): Promise<JobProgress> {
 *   return runJob<typeof contract>(parameters, async (job) => {
 *     await job.step('confirm');
 *   });
 * }
 * ```
 *
 * The flow is plain code: loops, branches and `Promise.all` over steps. It must be deterministic, as any workflow.
 * Cancelling the workflow stops it gracefully, like the update `stop`; a new start goes on from what has committed.
 *
 * @typeParam Job the contract, by its type alone: the sandbox has no zod.
 * @param parameters as a caller gives them.
 * @returns the report: state, steps and counters.
 */
export async function runJob<Job extends JobDefinition = never>(
  parameters: InputOf<Job>,
  flow: (job: JobFlow<Job>) => Promise<void>,
): Promise<JobProgress> {
  const job = workflowInfo().workflowType;
  const carried = (workflowInfo().memo?.[carriedMemo] ?? null) as Carried | null;
  const run = new JobRun(job, carried);
  setControls(run);
  // Whatever must still commit or be released after a cancellation is shielded from it.
  const root = CancellationScope.current();
  root.cancelRequested.catch(() =>
    obey(run, 'cancel', undefined, () => run.requestStop('the workflow was cancelled')),
  );
  const report = await CancellationScope.nonCancellable(async () => {
    try {
      return await live(run, parameters, carried, () => flow(flowOf(run)));
    } finally {
      await run.trail.settled();
    }
  });
  if (report.status === 'stopped' && root.consideredCancelled)
    throw new CancelledFailure('stopped by a cancellation');
  return report;
}

/** The life of a run: claims its instance, follows the flow, and releases the instance. */
async function live(
  run: JobRun,
  parameters: unknown,
  carried: Carried | null,
  flow: () => Promise<void>,
): Promise<JobProgress> {
  await open(run, parameters, carried);
  try {
    await flow();
    run.endFlow();
  } catch (error) {
    return endEarly(run, parameters, interruptionIn(error) ?? error);
  }
  try {
    await close(run);
  } catch (error) {
    // A closing that fails for another reason fails the run as it is.
    if (!(error instanceof JobYielded) && !ofTheRun.includes(failureTypeOf(error))) throw error;
    return endEarly(run, parameters, error);
  }
  return run.finish('completed', null);
}

/** What the flow is given. Its contract is a type alone, so nothing here can check it; a step that is none is refused. */
function flowOf<Job extends JobDefinition>(run: JobRun): JobFlow<Job> {
  const flow: Omit<JobFlow, 'step' | 'run'> = {
    parameters: run.opened.parameters,
    wait: (seconds, step) => waitBetween(run, seconds, step),
    outlive: (error) => outlive(run, error),
  };
  const steps = {
    step: (name: string) => runStep(run, name),
    run: <Parameters>(name: string, workflow: JobWorkflow<Parameters>, parameters: Parameters) =>
      runNestedJob(run, name, workflow, parameters),
  };
  return { ...flow, ...steps } as unknown as JobFlow<Job>;
}

function outlive(run: JobRun, error: unknown): void {
  // A run that ended by it before goes on ending by it when it is replayed.
  if (!wasAway(error) || !patched('outlive-what-was-away')) throw error;
  // A nested job that completes asks for this itself; of those that fail there may be many.
  if (workflowInfo().continueAsNewSuggested) run.requestYield();
}

/** Failures of a closing that are about the run itself. */
const ofTheRun: readonly (FailureType | undefined)[] = [
  'Fenced',
  'LedgerBehind',
  'OtherLedger',
  'BooksDoNotBalance',
];

/**
 * Closes a run whose flow has ended, if the ledger holds what it has seen.
 *
 * @throws JobYielded when what the ledger has lost is to be done again; LedgerBehind when it may not be.
 */
async function close(run: JobRun): Promise<void> {
  const { claim, parameters } = run.opened;
  const saw = run.seen.all;
  let lost: unknown;
  try {
    const closed = await ledgerWork.closeJob({ claim, parameters, outcome: 'completed', saw });
    if (!closed?.behind) return;
    lost = failure(
      'LedgerBehind',
      `${claim.instance}: the ledger is behind the history: ${closed.behind.join('; ')}. Start it again with the same parameters: it goes on from what is there.`,
    );
  } catch (error) {
    if (failureTypeOf(error) !== 'LedgerBehind') throw error;
    lost = error;
  }
  throw run.rewind() ?? lost;
}

async function open(run: JobRun, parameters: unknown, carried: Carried | null): Promise<void> {
  const { workflowId, runId } = workflowInfo();
  const { job } = run;
  const claim = carried?.claim ?? null;
  try {
    run.open(
      await ledgerWork.openJob({ job, parameters, workflowId, runId, carried: claim, started: startedBy() }),
    );
  } catch (error) {
    await tellIfAway(job, error, carried !== null);
    await run.finish('failed', describeError(error));
    throw placed(job, error);
  }
}

/** A start that was refused has told whoever asked; one that could not be answered for an hour, or a run under way, nobody. */
async function tellIfAway(job: string, error: unknown, underWay: boolean): Promise<void> {
  const away = underWay || ['Unavailable', 'UnknownJob', 'OtherLedger'].includes(failureTypeOf(error) ?? '');
  // A run that failed so before there were alerts has no such activity in its history.
  if (!away || !patched('alert-when-away')) return;
  const reason = describeError(error);
  await raiseAlert({ kind: 'notStarted', job, instance: job, reason }).catch(() => undefined);
}

/** Ends an execution whose flow threw, when everything it had in hand has come to rest. */
async function endEarly(run: JobRun, parameters: unknown, error: unknown): Promise<JobProgress> {
  if (error instanceof JobYielded) {
    await run.work.ended();
    // Asked to stop while the other branches came to rest: the run that continues this one would not know of it.
    return run.stopWanted ? endStopped(run, 'stopped') : continueRun(run, parameters);
  }
  if (error instanceof JobStopped) {
    await run.work.ended();
    return endStopped(run, error.message);
  }
  // What a flow throws that is no failure of ours or Temporal's is a bug in it: Temporal retries the task until a fixed
  // worker is deployed.
  if (!(error instanceof ApplicationFailure) && failureTypeOf(error) === undefined) throw error;
  const inHand = run.halt();
  await run.work.ended();
  const { claim, parameters: validated } = run.opened;
  const place = failurePlaceOf(error);
  const reason = withOthers(describeError(error), place, inHand, run.progress().steps);
  const closed = await ledgerWork.closeJob({
    ...{ claim, parameters: validated, outcome: 'failed', reason },
    ...(place ? { place } : {}),
  });
  run.reports.settle(closed, run.opened.policies);
  await run.finish('failed', reason);
  throw placed(claim.instance, error, reason);
}

async function endStopped(run: JobRun, unexplained: string): Promise<JobProgress> {
  const { claim, parameters, policies } = run.opened;
  const reason = run.progress().reason ?? unexplained;
  const closed = await ledgerWork.closeJob({ claim, parameters, outcome: 'stopped', reason });
  run.reports.settle(closed, policies);
  return run.finish('stopped', reason);
}

/** Adds what became of the other branches of a flow, which the failure of one must not hide. */
function withOthers(
  message: string,
  place: FailurePlace | undefined,
  inHand: readonly string[],
  steps: readonly StepProgress[],
): string {
  const others = steps
    .filter(({ step, status }) => inHand.includes(step) || status !== 'completed')
    .filter(({ step }) => step !== place?.step)
    .map(({ step, status, reason }) => `step ${step} ${status}${reason ? ` (${reason})` : ''}`);
  return others.length > 0 ? cutText(`${message} Meanwhile: ${others.join(', ')}.`) : message;
}

function continueRun(run: JobRun, parameters: unknown): Promise<never> {
  const carried: Carried = { claim: run.opened.claim, ...run.carried };
  const again = makeContinueAsNewFunc<Workflow>({ memo: { ...workflowInfo().memo, [carriedMemo]: carried } });
  return again(parameters);
}
