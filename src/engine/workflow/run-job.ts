import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  makeContinueAsNewFunc,
  workflowInfo,
  type Workflow,
} from '@temporalio/workflow';
import type { Claim } from '../../contract/activities.ts';
import { describeError, failure, failureTypeOf } from '../../contract/errors.ts';
import type { JobProgress, StepProgress } from '../../contract/progress.ts';
import { ledgerWork } from './activities.ts';
import { type CarriedState, JobRun, JobStopped, JobYielded } from './job-run.ts';
import { runStep } from './run-step.ts';

/** What a job's flow is written with. */
export interface JobFlow {
  /** The validated parameters, with defaults. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /**
   * Runs a step, or finds that an earlier execution has completed it.
   *
   * @returns its figures, and a tasklet's result.
   * @throws StepFailed
   */
  step(name: string): Promise<StepProgress>;
}

/** What a run hands to the one that continues it. */
interface Carried extends CarriedState {
  readonly claim: Claim;
}

/** The memo that carries it: a job's workflow keeps one argument, its parameters. */
const carriedMemo = 'keystrideCarried';

/**
 * Runs a job: claims its instance, follows its flow, and releases the instance, whatever happens.
 *
 * The flow is plain code: loops, branches and `Promise.all` over steps. It must be deterministic, as any workflow.
 * Cancelling the workflow stops it gracefully, like the update `stop`; a new start goes on from what has committed.
 *
 * @returns the report: state, steps and counters.
 */
export async function runJob(
  job: string,
  parameters: unknown,
  flow: (job: JobFlow) => Promise<void>,
): Promise<JobProgress> {
  const carried = (workflowInfo().memo?.[carriedMemo] ?? null) as Carried | null;
  const run = new JobRun(job, carried);
  // Whatever must still commit or be released after a cancellation is shielded from it.
  const root = CancellationScope.current();
  root.cancelRequested.catch(() => run.requestStop('the workflow was cancelled'));
  const report = await CancellationScope.nonCancellable(async () => {
    await open(run, job, parameters, carried);
    try {
      await flow({ parameters: run.opened.parameters, step: (name) => runStep(run, name) });
    } catch (error) {
      return await endEarly(run, parameters, error);
    }
    await ledgerWork.closeJob({
      claim: run.opened.claim,
      parameters: run.opened.parameters,
      outcome: 'completed',
    });
    return run.finish('completed', null);
  });
  if (report.status === 'stopped' && root.consideredCancelled)
    throw new CancelledFailure('stopped by a cancellation');
  return report;
}

async function open(run: JobRun, job: string, parameters: unknown, carried: Carried | null): Promise<void> {
  const { workflowId, runId } = workflowInfo();
  try {
    run.open(
      await ledgerWork.openJob({ job, parameters, workflowId, runId, carried: carried?.claim ?? null }),
    );
  } catch (error) {
    await run.finish('failed', describeError(error));
    throw refused(job, error);
  }
}

/** Ends an execution whose flow threw, when everything it had running has come to rest. */
async function endEarly(run: JobRun, parameters: unknown, error: unknown): Promise<JobProgress> {
  const { claim, parameters: validated } = run.opened;
  if (error instanceof JobYielded) {
    await run.rested();
    return continueRun(run, parameters);
  }
  const stopped = error instanceof JobStopped;
  // What a flow throws that is no failure of ours or Temporal's is a bug in it: Temporal retries the task until a fixed
  // worker is deployed.
  if (!stopped && !(error instanceof ApplicationFailure) && failureTypeOf(error) === undefined) throw error;
  if (!stopped) run.halt();
  await run.rested();
  const outcome = stopped ? 'stopped' : 'failed';
  const reason = stopped ? describeError(error) : withOthers(describeError(error), run.progress().steps);
  await ledgerWork.closeJob({ claim, parameters: validated, outcome, reason });
  const report = await run.finish(outcome, reason);
  if (!stopped) throw refused(claim.instance, error, reason);
  return report;
}

/** Adds what became of the other branches of a flow, which the failure of one must not hide. */
function withOthers(message: string, steps: readonly StepProgress[]): string {
  const others = steps
    .filter(({ step, status }) => status !== 'completed' && !message.includes(`step ${step} failed`))
    .map(({ step, status }) => `step ${step} ${status}`);
  return others.length > 0 ? `${message} Meanwhile: ${others.join(', ')}.` : message;
}

function continueRun(run: JobRun, parameters: unknown): Promise<never> {
  const carried: Carried = { claim: run.opened.claim, ...run.carried };
  const again = makeContinueAsNewFunc<Workflow>({ memo: { ...workflowInfo().memo, [carriedMemo]: carried } });
  return again(parameters);
}

/** A failure with everything that matters in its own message: that is what `temporal workflow describe` shows. */
function refused(where: string, error: unknown, message = describeError(error)): ApplicationFailure {
  const type = failureTypeOf(error) ?? 'StepFailed';
  return failure(type, message.startsWith(where) ? message : `${where}: ${message}`);
}
