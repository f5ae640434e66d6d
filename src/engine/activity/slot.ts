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

/** What an item has asked for; few items ever do. */
interface Held {
  readonly reservations: Reservation[];
  bytes: number;
}

/** One item on its way from the reader to its commit. */
export class Slot {
  outcome: Outcome | undefined;
  readonly #page: ReadPage<unknown>;
  readonly #index: number;
  #held: Held | undefined;
  #first = false;

  constructor(page: ReadPage<unknown>, index: number) {
    this.#page = page;
    this.#index = index;
  }

  get item(): unknown {
    return this.#page.items[this.#index];
  }

  get key(): string {
    return this.#page.keyAt(this.#index);
  }

  get cursor() {
    return this.#page.cursorAt(this.#index);
  }

  /** Bytes that it holds or waits for. */
  get heldBytes(): number {
    return this.#held?.bytes ?? 0;
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
    this.#held ??= { reservations: [], bytes: 0 };
    this.#held.reservations.push(reservation);
    this.#held.bytes += bytes;
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
    for (const reservation of this.#held?.reservations ?? []) reservation.force();
  }

  release(): void {
    for (const reservation of this.#held?.reservations ?? []) reservation.release();
    this.#held = undefined;
  }
}
