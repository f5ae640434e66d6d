import { condition } from '@temporalio/workflow';

/** The steps that a run has in hand, and what of them is working. */
export class WorkInHand {
  /** Steps that have begun and not ended, working or waiting. */
  readonly #steps = new Set<{ readonly step: string }>();
  readonly #interrupts = new Set<() => void>();
  /** Steps that have work running, or are about to. */
  #working = 0;
  readonly #mustRest: () => boolean;

  /** @param mustRest what begins to work is to come to rest at once. */
  constructor(mustRest: () => boolean) {
    this.#mustRest = mustRest;
  }

  /** Nothing runs, whatever waits. */
  get atRest(): boolean {
    return this.#working === 0;
  }

  get steps(): readonly string[] {
    return [...this.#steps].map(({ step }) => step);
  }

  /** Does a step, from its opening to its end. */
  async whileInHand<Result>(step: string, work: () => Promise<Result>): Promise<Result> {
    const entry = { step };
    this.#steps.add(entry);
    try {
      return await work();
    } finally {
      this.#steps.delete(entry);
    }
  }

  /** Does what `interrupt` brings to rest. Paused is only what has nothing running any more. */
  async whileWorking<Result>(interrupt: () => void, work: () => Promise<Result>): Promise<Result> {
    this.#working++;
    this.#interrupts.add(interrupt);
    try {
      if (this.#mustRest()) interrupt();
      return await work();
    } finally {
      this.#interrupts.delete(interrupt);
      this.#working--;
    }
  }

  /** Brings what runs to rest. */
  interrupt(): void {
    for (const interrupt of this.#interrupts) interrupt();
  }

  /** Waits until no step is in hand any more: those of the other branches of a flow, after one of them has thrown. */
  async ended(): Promise<void> {
    await condition(() => this.#steps.size === 0);
  }
}
