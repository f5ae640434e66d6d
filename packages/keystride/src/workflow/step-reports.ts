import type { ClosedJob, OpenedJob } from '../contract/activities.ts';
import type { PartitionNews } from '../contract/step-activities.ts';
import {
  addPoint,
  type Counters,
  type CoursePoint,
  type StepProgress,
  withLedger,
} from '../contract/progress.ts';
import { Adaptation, type Adapted } from './adaptation.ts';
import type { CarriedState } from './carried-state.ts';

/** Points of a run that are kept: a few kilobytes, which its report and the run that continues it have, too. */
const courseBounds = { apart: 10_000, most: 120 };

/** What a run tells of its steps: how far each has come, and what it has decided by itself. */
export class StepReports {
  readonly #steps = new Map<string, StepProgress>();
  readonly #adaptation: Adaptation;
  readonly #changed: () => void;
  #course: readonly CoursePoint[];

  /**
   * @param changed called when there is something new to show.
   * @param carried what the run knows that this one continues.
   */
  constructor(changed: () => void, carried?: Pick<CarriedState, 'adapted' | 'course'> | null) {
    this.#changed = changed;
    this.#adaptation = new Adaptation(carried?.adapted);
    this.#course = carried?.course ?? [];
  }

  /** The steps in the order in which they began. */
  get all(): readonly StepProgress[] {
    return [...this.#steps.values()].map((step) => {
      const { decisions, retries } = this.#adaptation.of(step.step);
      return {
        ...step,
        ...(decisions.length > 0 ? { decisions } : {}),
        ...(retries ? { retries } : {}),
      };
    });
  }

  get skipped(): boolean {
    return [...this.#steps.values()].some((step) => step.skipped > 0);
  }

  /** What a run that continues this one must know. */
  get adapted(): Readonly<Record<string, Adapted>> {
    return this.#adaptation.carried;
  }

  /** What a step has learned and decided by itself. */
  adaptedOf(step: string): Adapted {
    return this.#adaptation.of(step);
  }

  hear(news: PartitionNews): void {
    this.#adaptation.hear(news);
    this.#changed();
  }

  /** How the run has come on. */
  get course(): readonly CoursePoint[] {
    return this.#course;
  }

  set(step: StepProgress): void {
    this.#steps.set(step.step, step);
    // What is read is a course; a step that reads nothing has none.
    if (step.kind !== 'tasklet') {
      const done = [...this.#steps.values()].reduce(
        (sum, { read, readSkipped }) => sum + read + readSkipped,
        0,
      );
      this.#course = addPoint(this.#course, { at: Date.now(), done }, courseBounds);
    }
    this.#changed();
  }

  /** Takes over what the ledger has counted of a step, where the step is known. */
  recount(step: string, counters: Counters): void {
    const known = this.#steps.get(step);
    if (known) this.set({ ...known, ...counters });
  }

  /** Takes over what the ledger has of each step: it is the truth, and what pages told of themselves may be old. */
  settle(closed: ClosedJob | undefined, policies: OpenedJob['policies']): void {
    const known = [...this.#steps.values()];
    for (const step of withLedger(known, closed?.steps ?? [], policies)) this.#steps.set(step.step, step);
  }
}
