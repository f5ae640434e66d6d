import { loadSettings } from '../dev/settings.ts';
import { findJob } from './catalogue.ts';
import {
  addCounters,
  type JobProgress,
  type NestedRun,
  noCounters,
  withLedger,
} from '../contract/progress.ts';
import { findClaimed } from '../ledger/executions.ts';
import type { Asked } from '../ledger/ledger.ts';
import { type Committed, committedBy as readCommitted } from '../ledger/run-figures.ts';
import { stepFigures } from '../ledger/step-figures.ts';
import { reasonOf } from './explain.ts';
import { doneOf } from './figures.ts';
import { withLedger as withLedgerConnection } from './ledger.ts';

/** Whose figures are shown, where they are not the workflow's own. */
export interface FiguresSource {
  /** `ledger`: read there. `unread`: it could not be, and what is shown may be old. */
  readonly from: 'ledger' | 'unread';
  /** The workflow that has the instance now, where it is another; or why the ledger could not be read. */
  readonly note: string | null;
}

/** The answer of the query, and where its figures are from. */
export interface KnownProgress extends JobProgress {
  readonly figures?: FiguresSource;
}

/**
 * The progress of a run that can tell no more itself, with what the ledger has of its instance: it failed, was stopped or
 * ended from outside, or no worker answers for it. A ledger that does not answer is no reason to show nothing.
 */
export async function withFiguresOfLedger(progress: JobProgress): Promise<KnownProgress> {
  try {
    return await withLedgerConnection((ledger) => completed(ledger, progress), impatient);
  } catch (error) {
    return { ...progress, figures: { from: 'unread', note: reasonOf(error) } };
  }
}

/**
 * What a run at rest says of itself, with the figures of the ledger for each step where those are further: partitions tell
 * theirs now and then, and not at their rest. Where the ledger does not answer it is as the run has told it.
 */
export async function withCommittedOfLedger(progress: JobProgress): Promise<JobProgress> {
  const { instance } = progress;
  if (instance === null) return progress;
  const figures = await withLedgerConnection((ledger) => stepFigures(ledger, instance), impatient).catch(
    () => [],
  );
  const steps = progress.steps.map((step) => {
    const found = figures.find((each) => each.step === step.step);
    const further = found !== undefined && doneOf(found) > doneOf(step);
    return further ? { ...step, ...addCounters(found, noCounters) } : step;
  });
  return { ...progress, steps };
}

/** It is asked for more than can be told without it: nobody waits for it. In milliseconds. */
const impatient = 3_000;

async function completed(ledger: Asked, progress: JobProgress): Promise<KnownProgress> {
  const found = await findClaimed(ledger, progress);
  if (!found) return progress;
  const { instance, parameters, job } = found;
  const figures = await stepFigures(ledger, instance);
  const kinds = (await findJob(job))?.steps ?? {};
  const steps = await Promise.all(
    withLedger(progress.steps, figures, kinds).map(async (step) => {
      const nested = step.kind === 'job' ? (step.result as NestedRun | undefined) : undefined;
      if (!nested) return step;
      const inside = await stepFigures(ledger, nested.instance);
      const { read, readSkipped, filtered, written, skipped } = inside.reduce(addCounters, noCounters);
      return { ...step, read, readSkipped, filtered, written, skipped };
    }),
  );
  const elsewhere =
    found.workflowId === progress.workflowId ? null : `workflow ${found.workflowId} has it now`;
  return {
    ...{ ...progress, instance, parameters: progress.parameters ?? parameters, steps },
    figures: { from: 'ledger', note: elsewhere },
  };
}

/**
 * What has committed of the instances that these workflows ran last; empty where the ledger is not known or does not
 * answer.
 */
export async function committedBy(workflowIds: readonly string[]): Promise<ReadonlyMap<string, Committed>> {
  if (workflowIds.length === 0 || loadSettings().databaseUrl === undefined) return new Map();
  return withLedgerConnection((ledger) => readCommitted(ledger, workflowIds), impatient).catch(
    () => new Map(),
  );
}
