/** Lets so many calls be worked on at a time; the others wait, in the order in which they came. */
export class Turns {
  readonly #most: () => number;
  readonly #working = new Set<object>();
  readonly #waiting = new Map<object, () => void>();

  /** @param most calls that may be worked on, read anew each time */
  constructor(most: () => number) {
    this.#most = most;
  }

  /** Resolves when it is the call's turn, or the call has left. */
  take(call: object): Promise<void> {
    return new Promise((begin) => {
      this.#waiting.set(call, begin);
      this.next();
    });
  }

  /** The call is over, or was given up before its turn. */
  leave(call: object): void {
    this.#working.delete(call);
    this.#waiting.get(call)?.();
    this.#waiting.delete(call);
    this.next();
  }

  /** Lets in whom there is room for. */
  next(): void {
    for (const [call, begin] of this.#waiting) {
      if (this.#working.size >= this.#most()) return;
      this.#waiting.delete(call);
      this.#working.add(call);
      begin();
    }
  }
}
