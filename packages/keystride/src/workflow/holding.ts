import { condition } from '@temporalio/workflow';

/** A step that has failed and waits for an operator, with the items that he may set aside. */
export interface HeldStep {
  readonly step: string;
  readonly items: readonly string[];
  readonly reason: string;
}

/** The steps of a run that have failed and wait for an operator: he decides about one at a time. */
export class Holding {
  #held: HeldStep | undefined;

  /** What he is to decide about. */
  get held(): HeldStep | undefined {
    return this.#held;
  }

  /** He has decided. */
  release(): void {
    this.#held = undefined;
  }

  /** Waits for the decision. @param begun called when it is this one's turn. @param ending nobody is to decide any more. */
  async wait(held: HeldStep, ending: () => boolean, begun: () => void): Promise<void> {
    while (this.#held && !ending()) await condition(() => this.#held === undefined || ending());
    this.#held = held;
    begun();
    await condition(() => this.#held !== held || ending());
    if (this.#held === held) this.#held = undefined;
  }
}
