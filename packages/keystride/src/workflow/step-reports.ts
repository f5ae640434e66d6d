import type { ClosedJob, OpenedJob, PartitionNews } from '../contract/activities.ts';
import { type Counters, type StepProgress, withLedger } from '../contract/progress.ts';
import { Adaptation, type Adapted } from './adaptation.ts';

/** What a run tells of its steps: how far each has come, and what it has decided by itself. */
export class StepReports {
  readonly #steps = new Map<string, StepProgress>();
  readonly #adaptation: Adaptation;
  readonly #changed: () => void;

  /** @param changed called when there is something new to show. */
  constructor(changed: () => void, adapted?: Readonly<Record<string, Adapted>>) {
    this.#changed = changed;
    this.#adaptation = new Adaptation(adapted);
  }

  /** The steps in the order in which they began. */
  get all(): readonly StepProgress[] {
    return [...this.#steps.values()].map((step) => {
      const { decisions } = this.#adaptation.of(step.step);
      return decisions.length > 0 ? { ...step, decisions } : step;
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

  set(step: StepProgress): void {
    this.#steps.set(step.step, step);
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
