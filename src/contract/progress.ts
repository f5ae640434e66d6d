import type { Tuning } from './messages.ts';
import type { JobStatus } from './states.ts';

/** What has committed of a step or a partition. Cumulative over all executions of the instance. */
export interface Counters {
  /** Items that a reader delivered. */
  readonly read: number;
  /** Rows that could not be read, and were skipped. */
  readonly readSkipped: number;
  /** Items for which the processor returned null. */
  readonly filtered: number;
  readonly written: number;
  /** All skips: while reading, processing and writing. */
  readonly skipped: number;
}

export const noCounters: Counters = { read: 0, readSkipped: 0, filtered: 0, written: 0, skipped: 0 };

/** The sum of two counters. */
export function addCounters(a: Counters, b: Counters): Counters {
  return {
    read: a.read + b.read,
    readSkipped: a.readSkipped + b.readSkipped,
    filtered: a.filtered + b.filtered,
    written: a.written + b.written,
    skipped: a.skipped + b.skipped,
  };
}

/** Every row that was reached is written, filtered or skipped. */
export function booksBalance(counters: Counters): boolean {
  return counters.read + counters.readSkipped === counters.written + counters.filtered + counters.skipped;
}

export type StepStatus = 'running' | 'completed' | 'failed' | 'stopped';

/** A step in the `progress` query. */
export interface StepProgress extends Counters {
  readonly step: string;
  /** `job` is another job that the flow runs; its counters are the sums of its steps. */
  readonly kind: 'chunk' | 'tasklet' | 'verification' | 'job';
  readonly status: StepStatus;
  /** Why it failed. */
  readonly reason?: string;
  /** Rows that the step is expected to read, by the planner's estimate; null when nobody knows. */
  readonly expected: number | null;
  readonly partitions: { readonly total: number; readonly done: number; readonly failed: number };
  /** ISO times of this execution's work on the step. */
  readonly startedAt: string;
  readonly finishedAt: string | null;
  /** What a tasklet or a verification returned; where the run of a nested job is found, a `NestedRun`. */
  readonly result?: unknown;
}

/** The result of a step that is another job: the execution that ran it last, an ordinary one. */
export interface NestedRun {
  readonly workflowId: string;
  readonly instance: string;
  readonly status: JobStatus;
}

/** The answer of the `progress` query, and (finished) a job's report, which is the workflow's result. */
export interface JobProgress {
  readonly job: string;
  /** The instance key; null until the parameters are validated. */
  readonly instance: string | null;
  /** As validated, with defaults; null until then. */
  readonly parameters: Readonly<Record<string, unknown>> | null;
  readonly workflowId: string;
  readonly status: JobStatus;
  /** Why it is paused, held, stopping or failed. */
  readonly reason: string | null;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  /** What operators have tuned; null when nothing. */
  readonly tuning: Tuning | null;
  readonly steps: readonly StepProgress[];
}

/** What a page activity heartbeats: live figures that history does not hold. */
export interface PageHeartbeat {
  readonly step: string;
  readonly partition: number;
  readonly counters: Counters;
  /** Items being processed at this moment. */
  readonly inFlight: number;
  /** Why the page waits, if it does. */
  readonly waiting: string | null;
}
