import type { OpenedStep } from '../contract/step-activities.ts';

/** The partitions of a step that its run knows of: those that it found, and those that it has cut off from others. */
export class StepPartitions {
  /** Those that are not done. */
  readonly left: Set<number>;
  readonly #known: Set<number>;
  #nextNumber: number;

  constructor(found: OpenedStep['partitions']) {
    this.#known = new Set(found.map(({ partition }) => partition));
    this.left = new Set(found.filter(({ done }) => !done).map(({ partition }) => partition));
    this.#nextNumber = Math.max(-1, ...this.#known) + 1;
  }

  /** How many there are, done or not. */
  get count(): number {
    return this.#known.size;
  }

  /** A number that no partition has. It is given out once, used or not: two splits may be under way at a time. */
  takeNumber(): number {
    return this.#nextNumber++;
  }

  /** Notes partitions that are not done. @returns how many of them were not known. */
  add(partitions: readonly number[]): number {
    const before = this.#known.size;
    for (const partition of partitions) {
      this.#known.add(partition);
      this.left.add(partition);
      this.#nextNumber = Math.max(this.#nextNumber, partition + 1);
    }
    return this.#known.size - before;
  }
}
