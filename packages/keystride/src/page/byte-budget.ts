/** Bytes that somebody holds or waits for. */
export interface Reservation {
  /** Resolves when the bytes are held. */
  readonly admitted: Promise<void>;
  /** Holds the bytes now, over the limit if need be. */
  force(): void;
  /** Gives the bytes back, or stops waiting for them. Doing it twice does nothing. */
  release(): void;
}

/**
 * A bound on the bytes that the items in flight hold, shared by all pages of a worker process.
 *
 * Chunks commit in key order, so an item that waits for bytes which later items hold would wait for ever. Whoever
 * drives the items therefore forces the reservation of the first one of its page: once that has committed, its
 * bytes are free, and the next one is first.
 */
export class ByteBudget {
  readonly limit: number;
  #held = 0;
  readonly #waiting: { readonly bytes: number; readonly admit: () => void }[] = [];
  readonly #listeners = new Set<() => void>();

  /** @param limit bytes held at a time, all pages together. */
  constructor(limit: number) {
    this.limit = limit;
  }

  get held(): number {
    return this.#held;
  }

  /** Whether somebody waits: a sign to commit early what is ready. */
  get contended(): boolean {
    return this.#waiting.length > 0;
  }

  /** Calls `listener` whenever somebody begins to wait; the function in answer ends that. */
  onContention(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks for bytes. They are held when `admitted` resolves, in the order of asking. */
  reserve(bytes: number): Reservation {
    let state: 'waiting' | 'held' | 'released' = 'waiting';
    const admitted = Promise.withResolvers<void>();
    const hold = () => {
      if (state !== 'waiting') return;
      state = 'held';
      this.#held += bytes;
      admitted.resolve();
    };
    const waiter = { bytes, admit: hold };
    const leaveQueue = () => {
      const place = this.#waiting.indexOf(waiter);
      if (place >= 0) this.#waiting.splice(place, 1);
    };
    if (this.#waiting.length === 0 && this.#fits(bytes)) hold();
    else {
      this.#waiting.push(waiter);
      for (const listener of this.#listeners) queueMicrotask(listener);
    }
    return {
      admitted: admitted.promise,
      force: () => {
        leaveQueue();
        hold();
      },
      release: () => {
        if (state === 'held') this.#held -= bytes;
        else leaveQueue();
        state = 'released';
        this.#admitWaiting();
      },
    };
  }

  #admitWaiting(): void {
    for (let next = this.#waiting[0]; next && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      next.admit();
    }
  }

  #fits(bytes: number): boolean {
    return this.#held === 0 || this.#held + bytes <= this.limit;
  }
}
