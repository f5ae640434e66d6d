/** The largest share of refusals that is believed to come whatever we do. */
const most = 0.25;

/** The share that is taken for usual before anything is known. */
const assumed = 0.1;

/** What a further decrease leaves of what earlier ones have shown. */
const memory = 0.8;

/**
 * The refusals that have nothing to do with how many calls are out. What tells them from the others is that they go on
 * when fewer are: only the round right after a decrease counts.
 */
export class UsualRefusals {
  #done = 0;
  #refused = 0;

  /** Learns of the first round after a decrease. */
  learn(done: number, refused: number): void {
    this.#done = memory * this.#done + done;
    this.#refused = memory * this.#refused + refused;
  }

  /** More of so many calls than this is unusual: three standard deviations above what was seen. */
  mostOf(done: number): number {
    return this.#bound(done, this.#share);
  }

  /**
   * The same right after a decrease, when next to nothing may be known yet of what is usual: fewer than three refusals
   * then prove nothing, nor does a tenth of the calls.
   */
  mostAfterDecrease(done: number): number {
    return Math.max(2, this.#bound(done, Math.max(assumed, this.#share)));
  }

  get #share(): number {
    return Math.min(most, this.#refused / Math.max(1, this.#done));
  }

  #bound(done: number, share: number): number {
    const usual = share * done;
    return share === 0 ? 0 : Math.max(1, usual + 3 * Math.sqrt(usual));
  }
}
