import type { SeenStep } from '../contract/step-activities.ts';
import type { NestedRun, StepProgress } from '../contract/progress.ts';

/** What a run has seen completed: of a step that it runs more than once, the last time. */
export class SeenSteps {
  readonly #steps = new Map<string, SeenStep>();
  /** Those that no step has been opened after. */
  readonly #fresh = new Map<string, SeenStep>();

  /** @param own whether this run has completed it; else it was found completed. */
  note({ step, kind, result, ...progress }: StepProgress, own: boolean): void {
    const { read, readSkipped, filtered, written, skipped } = progress;
    const seen: SeenStep = {
      ...{ step, kind, own },
      ...(kind === 'chunk' ? { counters: { read, readSkipped, filtered, written, skipped } } : {}),
      ...(kind === 'job' ? { instance: (result as NestedRun).instance } : {}),
    };
    this.#steps.set(step, seen);
    this.#fresh.set(step, seen);
  }

  get all(): readonly SeenStep[] {
    return [...this.#steps.values()];
  }

  /**
   * Those that were completed since a step was opened last. What was there then is checked once more when the job
   * closes: a history with many steps would grow by their square.
   */
  get fresh(): readonly SeenStep[] {
    return [...this.#fresh.values()];
  }

  /** The ledger has shown that these are there. */
  confirm(seen: readonly SeenStep[]): void {
    for (const one of seen) if (this.#fresh.get(one.step) === one) this.#fresh.delete(one.step);
  }
}
