import type { Counters, JobProgress } from '../contract/progress.ts';
import type { JobStatus } from '../contract/states.ts';

/** How far the work had come at a moment. */
export interface Sample {
  /** Milliseconds of any clock that does not go back. */
  readonly at: number;
  readonly done: number;
}

/** The rate is taken over this many milliseconds. */
const windowMs = 15_000;

/** The shortest span, in milliseconds, that says anything about a rate. */
const leastSpanMs = 1_000;

/** How long after the first sample no remaining time is guessed: the first pages are slower than the rest. */
const warmUpMs = 5_000;

/** Rows a second over a moving window. Pure: it is told the time. */
export class RateWindow {
  #samples: Sample[] = [];
  #first: Sample | undefined;

  /** A count below the one before (figures that were live and did not commit) starts the window anew. */
  add(sample: Sample): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && sample.done < last.done) this.#samples = [];
    this.#first ??= sample;
    this.#samples.push(sample);
    const oldest = sample.at - windowMs;
    // One sample from before the window stays, so that the span is a whole window.
    while ((this.#samples[1]?.at ?? Infinity) <= oldest) this.#samples.shift();
  }

  /** Rows a second; null while there is too little to tell. */
  get perSecond(): number | null {
    const from = this.#samples[0];
    const to = this.#samples.at(-1);
    if (from === undefined || to === undefined || to.at - from.at < leastSpanMs) return null;
    return ((to.done - from.done) * 1000) / (to.at - from.at);
  }

  /** Milliseconds since the first sample. */
  get age(): number {
    const to = this.#samples.at(-1);
    return this.#first === undefined || to === undefined ? 0 : to.at - this.#first.at;
  }
}

/**
 * Seconds until everything expected is done; null when nobody can tell: the total is unknown or exceeded, nothing
 * moves, the run is not running, or it has only just begun.
 */
export function remainingSeconds(work: {
  readonly done: number;
  readonly expected: number | null;
  readonly status: JobStatus;
  readonly rate: RateWindow;
}): number | null {
  const { done, expected, status, rate } = work;
  const perSecond = rate.perSecond;
  if (status !== 'running' || expected === null || done >= expected) return null;
  if (rate.age < warmUpMs || perSecond === null || perSecond <= 0) return null;
  return (expected - done) / perSecond;
}

/** The share that is done, 0 to 1; null when the total is unknown, zero, or turned out too small. */
export function shareDone(done: number, expected: number | null): number | null {
  return expected === null || expected <= 0 || done > expected ? null : done / expected;
}

/** What was seen of a run so far: its rates, a step each. */
export class Observed {
  readonly #rates = new Map<string, RateWindow>();

  /** @param at milliseconds of a clock that does not go back */
  add(progress: JobProgress, at: number): void {
    for (const step of progress.steps) {
      if (step.status === 'running') this.rateOf(step.step).add({ at, done: doneOf(step) });
    }
  }

  rateOf(step: string): RateWindow {
    const known = this.#rates.get(step);
    if (known) return known;
    const made = new RateWindow();
    this.#rates.set(step, made);
    return made;
  }
}

/** Rows that were reached. */
export function doneOf({ read, readSkipped }: Pick<Counters, 'read' | 'readSkipped'>): number {
  return read + readSkipped;
}
