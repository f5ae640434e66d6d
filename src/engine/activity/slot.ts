import type { ReadPage } from '../../contract/reader.ts';
import type { ByteBudget, Reservation } from './byte-budget.ts';

/** What became of an item. */
export type Outcome =
  | { readonly kind: 'write'; readonly output: unknown }
  | { readonly kind: 'filter' }
  | {
      readonly kind: 'skip';
      readonly phase: 'read' | 'process';
      readonly code: string;
      readonly message: string;
      readonly attempts: number;
    };

/** One item on its way from the reader to its commit. */
export class Slot {
  readonly item: unknown;
  outcome: Outcome | undefined;
  readonly #page: ReadPage<unknown>;
  readonly #index: number;
  #reservations: Reservation[] | undefined;
  #first = false;
  #heldBytes = 0;

  constructor(page: ReadPage<unknown>, index: number) {
    this.item = page.items[index];
    this.#page = page;
    this.#index = index;
  }

  get key(): string {
    return this.#page.keyAt(this.#index);
  }

  get cursor() {
    return this.#page.cursorAt(this.#index);
  }

  /** Bytes that it holds or waits for. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  get readError(): unknown {
    return this.#page.errorAt?.(this.#index);
  }

  /**
   * Holds bytes for this item until `release`; at once when it is the first of its page.
   *
   * @throws the signal's reason when it aborts first.
   */
  async reserve(budget: ByteBudget, bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const reservation = budget.reserve(bytes);
    this.#reservations ??= [];
    this.#reservations.push(reservation);
    this.#heldBytes += bytes;
    if (this.#first) reservation.force();
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    try {
      await Promise.race([reservation.admitted, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** From now on this item is the first that has not committed: whatever it waits for is given. */
  becomeFirst(): void {
    if (this.#first) return;
    this.#first = true;
    for (const reservation of this.#reservations ?? []) reservation.force();
  }

  release(): void {
    for (const reservation of this.#reservations ?? []) reservation.release();
    this.#reservations = undefined;
    this.#heldBytes = 0;
  }
}
