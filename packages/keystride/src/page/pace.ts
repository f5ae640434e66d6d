/** Lets at most so many items start a second, evenly: a pause is not made up for by a burst of more than a tenth. */
export class Pace {
  readonly #perMs: number | undefined;
  #allowance = 1;
  #lookedAt = performance.now();

  /** @param perSecond items a second; undefined for any number. */
  constructor(perSecond: number | undefined) {
    this.#perMs = perSecond === undefined ? undefined : perSecond / 1000;
  }

  /** Whether an item may start now; if so, it counts as started. */
  mayStart(): boolean {
    if (this.#perMs === undefined) return true;
    const now = performance.now();
    const most = Math.max(1, this.#perMs * 100);
    this.#allowance = Math.min(most, this.#allowance + (now - this.#lookedAt) * this.#perMs);
    this.#lookedAt = now;
    if (this.#allowance < 1) return false;
    this.#allowance -= 1;
    return true;
  }

  /** Milliseconds until the next item may start. */
  nextInMs(): number {
    return this.#perMs === undefined ? 0 : Math.ceil((1 - this.#allowance) / this.#perMs);
  }
}
