import type { PartitionNews } from '../contract/step-activities.ts';
import { addDecisions, addRetries, type Decision, type Retries } from '../contract/progress.ts';

/** What a step has learned and decided by itself. */
export interface Adapted {
  /** The commit interval that its pages went on with last. */
  readonly chunkSize?: number;
  readonly decisions: readonly Decision[];
  readonly retries?: Retries;
}

/** What the steps of a run have learned and decided by themselves; a run that continues it goes on with that. */
export class Adaptation {
  readonly #steps: Record<string, Adapted>;

  constructor(carried: Readonly<Record<string, Adapted>> = {}) {
    this.#steps = { ...carried };
  }

  get carried(): Readonly<Record<string, Adapted>> {
    return this.#steps;
  }

  of(step: string): Adapted {
    return this.#steps[step] ?? { decisions: [] };
  }

  /** Takes what a page or a partition has told. */
  hear({ step, chunkSize, decisions, retries = {} }: PartitionNews): void {
    const tried = Object.keys(retries).length > 0;
    if (chunkSize === undefined && decisions.length === 0 && !tried) return;
    const known = this.of(step);
    this.#steps[step] = {
      ...known,
      ...(chunkSize === undefined ? {} : { chunkSize }),
      decisions: addDecisions(known.decisions, decisions),
      ...(tried ? { retries: addRetries(known.retries ?? {}, retries) } : {}),
    };
  }
}
