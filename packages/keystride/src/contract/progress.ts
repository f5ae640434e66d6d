import { grouped } from './grouped.ts';
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

/**
 * Something that a run has decided by itself, and why. It holds figures and reasons, never what a row holds.
 */
export interface Decision {
  /** ISO time. */
  readonly at: string;
  /** The partition whose page decided; undefined where it was the job as a whole. */
  readonly partition?: number;
  /**
   * `chunkSize`: items that commit together. `concurrency`: items processed, or calls out, at a time. `throttled`: the
   * job throttled; `to` is then the seconds until it asks again, and, when it goes on, `from` those that it waited.
   */
  readonly what: 'chunkSize' | 'concurrency' | 'throttled';
  readonly from: number | null;
  readonly to: number | null;
  readonly reason: string;
}

/** Decisions that are kept of a page, and of a step: the last ones. */
const keptDecisions = 10;

/** The decisions of a step, or a page, with these behind them; the oldest make room. */
export function addDecisions(known: readonly Decision[], added: readonly Decision[]): readonly Decision[] {
  return [...known, ...added].slice(-keptDecisions);
}

/** A decision in words, without its time: `chunkSize 5,000 → 1,200, partition 3: …`. */
export function decisionText({ partition, what, from, to, reason }: Omit<Decision, 'at'>): string {
  const shown = (value: number) => grouped(value) + (what === 'throttled' ? ' s' : '');
  const change = [
    ...(from === null ? [] : [what === 'throttled' ? `for ${shown(from)}` : shown(from)]),
    ...(to === null ? [] : [what === 'throttled' ? `asks again in ${shown(to)}` : `→ ${shown(to)}`]),
  ].join(' ');
  const where = partition === undefined ? '' : `, partition ${partition}`;
  return `${what}${change && ` ${change}`}${where}: ${reason}`;
}

/** How often something was tried again, by its code: `HTTP_503`, `SQLSTATE_40001`. */
export type Retries = Readonly<Record<string, number>>;

/** Codes that are told apart. A classifier may make up as many as it likes. */
const mostCodes = 20;

/** The sums of retries by code; codes beyond the twentieth are counted as `others`. */
export function addRetries(known: Retries, added: Retries): Retries {
  const sum: Record<string, number> = { ...known };
  for (const [code, times] of Object.entries(added)) {
    const name = code in sum || Object.keys(sum).length < mostCodes ? code : 'others';
    sum[name] = (sum[name] ?? 0) + times;
  }
  return sum;
}

/** How many retries there were, and of what: `12 HTTP_503, 3 SQLSTATE_40001`; the most frequent first. */
export function retriesText(retries: Retries): string {
  const codes = Object.entries(retries).toSorted(([, a], [, b]) => b - a);
  return codes.map(([code, times]) => `${grouped(times)} ${code}`).join(', ');
}

/** How many rows a run had reached at a moment. */
export interface CoursePoint {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly done: number;
}

/**
 * The points of a run with one more, unless it says nothing new. When there are too many every second one goes, so that
 * the whole time stays in view.
 *
 * @param apart the least time between two, in milliseconds
 */
export function addPoint(
  points: readonly CoursePoint[],
  point: CoursePoint,
  { apart, most }: { readonly apart: number; readonly most: number },
): readonly CoursePoint[] {
  const last = points.at(-1);
  if (last && point.at - last.at < apart) return points;
  const all = [...points, point];
  return all.length > most ? all.filter((_, index) => index % 2 === 0) : all;
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
  /** Rows that were counted when it was planned and that it has completed without; undefined for none. */
  readonly unread?: number;
  readonly partitions: { readonly total: number; readonly done: number; readonly failed: number };
  /** ISO times of this execution's work on the step; null where the ledger alone knows of it. */
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** What it has decided by itself, the last ten; undefined for nothing. */
  readonly decisions?: readonly Decision[];
  /** What its items and chunks were tried again for, since the execution began; undefined for nothing. */
  readonly retries?: Retries;
  /** What a tasklet or a verification returned; where the run of a nested job is found, a `NestedRun`. */
  readonly result?: unknown;
}

/** What is to be said of a step that has completed without rows that were counted; undefined for nothing. */
export function unreadText(
  step: Pick<StepProgress, 'step' | 'read' | 'readSkipped' | 'unread'>,
): string | undefined {
  if (!step.unread) return undefined;
  const reached = step.read + step.readSkipped;
  return (
    `${step.step} read ${reached} of the ${reached + step.unread} rows that were counted: the others were deleted or ` +
    'changed meanwhile, or its reader has missed them'
  );
}

/** The result of a step that is another job: the execution that ran it last, an ordinary one. */
export interface NestedRun {
  readonly workflowId: string;
  readonly instance: string;
  readonly status: JobStatus;
}

/** A step as the ledger has it. */
export interface LedgerStep extends Counters {
  readonly step: string;
  readonly status: string;
  readonly expected: number | null;
  readonly partitions: { readonly total: number; readonly done: number };
}

/**
 * Steps with the figures of the ledger, and those that it alone knows of behind them. It counts the items of chunk steps;
 * what a verification or a nested job has counted stays.
 */
export function withLedger(
  known: readonly StepProgress[],
  ledger: readonly LedgerStep[],
  kinds: Readonly<Record<string, { readonly kind: StepProgress['kind'] }>>,
): StepProgress[] {
  const recorded = new Map(ledger.map((step) => [step.step, step]));
  const unheard = ledger.filter(({ step }) => !known.some((one) => one.step === step));
  return [
    ...known.map((step) => {
      const found = recorded.get(step.step);
      return found && step.kind === 'chunk' ? { ...step, ...figuresOf(found, step.partitions.failed) } : step;
    }),
    ...unheard.map((found): StepProgress => ({
      step: found.step,
      kind: kinds[found.step]?.kind ?? (found.partitions.total > 0 ? 'chunk' : 'tasklet'),
      status: found.status === 'completed' ? 'completed' : 'stopped',
      ...figuresOf(found, 0),
      startedAt: null,
      finishedAt: null,
    })),
  ];
}

function figuresOf(
  found: LedgerStep,
  failed: number,
): Counters & Pick<StepProgress, 'expected' | 'partitions'> {
  const { read, readSkipped, filtered, written, skipped, expected, partitions } = found;
  const { total, done } = partitions;
  return { read, readSkipped, filtered, written, skipped, expected, partitions: { total, done, failed } };
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
  /** Why it is paused, throttled, holding, stopping or failed. */
  readonly reason: string | null;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  /** What operators have tuned; null when nothing. */
  readonly tuning: Tuning | null;
  /** Whether the job can be verified. Undefined until the parameters are validated, and of runs of older workers. */
  readonly verifiable?: boolean | undefined;
  /** How it has come on since it began. Undefined of a run that has read nothing, and of runs of older workers. */
  readonly course?: readonly CoursePoint[];
  readonly steps: readonly StepProgress[];
}

/** What a page activity heartbeats: live figures that history does not hold. */
export interface PageHeartbeat {
  readonly step: string;
  readonly partition: number;
  readonly counters: Counters;
  /** Items being processed at this moment. */
  readonly inFlight: number;
  /** Items that commit together at present. */
  readonly chunkSize?: number;
  /** Items that may be processed at a time at present. */
  readonly concurrency?: number;
  /** Why the page waits, if it does. */
  readonly waiting: string | null;
  /** What it has tried again, earlier attempts of the page included. */
  readonly retries?: Retries;
}
