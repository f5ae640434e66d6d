import type { Counters, NestedRun, StepProgress } from '../contract/progress.ts';
import type { JobRun } from './job-run.ts';

/** Keeps the progress of one step up to date in its run. */
export class StepReporter {
  readonly #run: JobRun;
  #progress: StepProgress;

  constructor(run: JobRun, progress: StepProgress) {
    this.#run = run;
    this.#progress = progress;
    run.reports.set(progress);
  }

  /** Rows that the plan has counted; null where nobody knows. */
  get expected(): number | null {
    return this.#progress.expected;
  }

  counters(counters: Counters): void {
    this.#report(counters);
  }

  partitionsAdded(count: number): void {
    const { partitions } = this.#progress;
    this.#report({ partitions: { ...partitions, total: partitions.total + count } });
  }

  nested(counters: Counters, result: NestedRun): void {
    this.#report({ ...counters, result });
  }

  partitionDone(): void {
    const { partitions } = this.#progress;
    this.#report({ partitions: { ...partitions, done: partitions.done + 1 } });
  }

  partitionFailed(): void {
    const { partitions } = this.#progress;
    this.#report({ partitions: { ...partitions, failed: partitions.failed + 1 } });
  }

  /** Ends the step. @returns its final progress. */
  end(status: 'completed' | 'failed' | 'stopped', changes: Partial<StepProgress> = {}): StepProgress {
    this.#report({ ...changes, status, finishedAt: new Date().toISOString() });
    return this.#progress;
  }

  #report(changes: Partial<StepProgress>): void {
    this.#progress = { ...this.#progress, ...changes };
    this.#run.reports.set(this.#progress);
  }
}
