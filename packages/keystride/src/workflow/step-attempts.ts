import { ChildWorkflowFailure, patched } from '@temporalio/workflow';
import { describeError, failureTypeOf } from '../contract/errors.ts';
import { failurePlaceOf } from '../contract/failure-place.ts';
import type { StepProgress } from '../contract/progress.ts';
import { raiseAlert, readStep } from './activities.ts';
import { JobStopped, JobYielded } from './interruption.ts';
import type { JobRun } from './job-run.ts';
import { stepFailure } from './placed-failure.ts';
import type { StepReporter } from './step-reporter.ts';

/** A step that has been opened: where its progress goes, and what is left to do. */
export interface BegunStep {
  /** It was found completed. @default false */
  readonly found?: boolean;
  readonly reporter: StepReporter;
  /** Does it. @returns what its report says besides that it has completed. */
  work(): Promise<Partial<StepProgress>>;
}

/**
 * Does a step until it has completed.
 *
 * When it fails under `onFailure: 'hold'` it waits for an operator and begins again, with what is left of it.
 *
 * @throws StepFailed or what failed it; JobStopped, JobYielded, also when the ledger has gone back.
 */
export async function completeStep(
  run: JobRun,
  step: string,
  begin: () => Promise<BegunStep>,
): Promise<StepProgress> {
  for (;;) {
    await run.mayBegin();
    const { completed, error, begun } = await run.work.whileInHand(step, () => attempt(run, begin));
    if (completed) return completed;
    const failed = stepFailure(run.opened.claim.instance, step, error);
    if (run.opened.onFailure !== 'hold') throw failed;
    // A run that could not begin a step did not hold for that before; its history goes on without.
    if (!begun && !patched('hold-before-beginning')) throw failed;
    // Whoever has paused it decides by resuming: then it is tried again, and holds when it fails once more.
    if (run.mustRest && patched('rest-before-holding')) continue;
    const { items, partitions } = failurePlaceOf(failed) ?? { items: [], partitions: [] };
    tellOfHolding(run, failed.message, step, partitions);
    await lookAtFigures(run, step);
    // Who has paused it meanwhile decides in the same way.
    if (run.mustRest && patched('rest-when-holding')) continue;
    await run.hold(failed.message, step, items);
  }
}

/** Nobody waits for it: an operator may decide before the alert is out. */
function tellOfHolding(run: JobRun, reason: string, step: string, partitions: readonly number[]): void {
  // A run that held before there were alerts has no such activity in its history.
  if (!patched('alert-when-holding')) return;
  const { job, instance } = run.opened.claim;
  raiseAlert({ kind: 'holding', job, instance, reason, step, partitions }).catch(() => undefined);
}

/** What its pages committed before they failed, an operator wants to see before he decides. */
async function lookAtFigures(run: JobRun, step: string): Promise<void> {
  const { claim, policies } = run.opened;
  // A run that held before it looked has no such activity in its history.
  if (policies[step]?.kind !== 'chunk' || !patched('figures-when-holding')) return;
  const state = await readStep({ claim, step }).catch(() => undefined);
  if (state) run.reports.recount(step, state.counters);
}

interface Attempt {
  readonly begun: boolean;
  readonly completed?: StepProgress;
  readonly error?: unknown;
}

async function attempt(run: JobRun, begin: () => Promise<BegunStep>): Promise<Attempt> {
  let begun: BegunStep;
  try {
    begun = await begin();
  } catch (error) {
    const rewound = rewindFor(run, error);
    if (rewound) throw rewound;
    if (!mayPass(error)) throw error;
    return { begun: false, error };
  }
  const { found = false, reporter, work } = begun;
  try {
    const completed = reporter.end('completed', await work());
    run.seen.note(completed, !found);
    return { begun: true, completed };
  } catch (failed) {
    const error = rewindFor(run, failed) ?? failed;
    if (error instanceof JobStopped || error instanceof JobYielded) {
      reporter.end('stopped');
      throw error;
    }
    reporter.end('failed', { reason: describeError(error) });
    return { begun: true, error };
  }
}

/** What is thrown where the ledger has gone back, not that of a nested job, which has ended for it. */
function rewindFor(run: JobRun, error: unknown): JobYielded | undefined {
  const behind = failureTypeOf(error) === 'LedgerBehind' && !(error instanceof ChildWorkflowFailure);
  return behind ? run.rewind() : undefined;
}

/** What made a step impossible to begin, and may be gone when it is tried again. A verdict of ours stays one. */
function mayPass(error: unknown): boolean {
  const type = failureTypeOf(error);
  return type === 'ItemFailed' || type === 'Unavailable';
}
