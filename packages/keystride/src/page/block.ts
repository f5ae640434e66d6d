import type { Cursor } from '../contract/cursor.ts';
import type { ReadPage } from '../contract/reader.ts';
import type { ByteBudget, Reservation } from './byte-budget.ts';

/** Nothing has become of the item yet. */
export const pending = Symbol('pending');

/** The processor has left the item out. */
export const filteredOut = Symbol('filtered');

/** The item is set aside. */
export class Skipped {
  readonly phase: 'read' | 'process';
  readonly code: string;
  readonly message: string;
  readonly attempts: number;

  constructor(phase: 'read' | 'process', code: string, message: string, attempts: number) {
    this.phase = phase;
    this.code = code;
    this.message = message;
    this.attempts = attempts;
  }
}

/** An item, for whoever has to name it. */
export interface Item {
  readonly item: unknown;
  readonly key: string;
  readonly cursor: Cursor;
}

/** What an item has asked for; few items ever do. */
interface Held {
  readonly reservations: Reservation[];
  bytes: number;
}

/**
 * The items of a page that was read, on their way to their commits. There is no object for each of them: rows pass in
 * millions, and whatever lives until a commit is copied by the collector of garbage more than once.
 */
export class Block {
  readonly page: ReadPage<unknown>;
  /** Of each item: `pending`, `filteredOut`, a `Skipped`, or else what the processor has made of it. */
  readonly outcomes: unknown[];
  #held: Map<number, Held> | undefined;
  #first = -1;
  #pageBytes: Reservation | undefined;

  /** @param pageBytes what the page's items take as they were read, until the last of them has committed. */
  constructor(page: ReadPage<unknown>, pageBytes?: Reservation) {
    this.page = page;
    this.#pageBytes = pageBytes;
    this.outcomes = page.items.map(() => pending);
  }

  get size(): number {
    return this.outcomes.length;
  }

  item(index: number): Item {
    const { page } = this;
    return { item: page.items[index], key: page.keyAt(index), cursor: page.cursorAt(index) };
  }

  /** Whether the page's items are large, and some of them have not committed. */
  get holdsPage(): boolean {
    return this.#pageBytes !== undefined;
  }

  /** Bytes of an item as it was read, and what it holds or waits for. */
  heldBytes(index: number): number {
    return (this.page.bytesAt?.(index) ?? 0) + (this.#held?.get(index)?.bytes ?? 0);
  }

  /**
   * Holds bytes for an item until `release`; at once when it is the first that has not committed.
   *
   * @throws the signal's reason when it aborts first.
   */
  async reserve(index: number, budget: ByteBudget, bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const reservation = budget.reserve(bytes);
    this.#held ??= new Map();
    const held = this.#held.get(index) ?? { reservations: [], bytes: 0 };
    this.#held.set(index, held);
    held.reservations.push(reservation);
    held.bytes += bytes;
    if (index === this.#first) reservation.force();
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
  becomesFirst(index: number): void {
    if (this.#first === index) return;
    this.#first = index;
    for (const reservation of this.#held?.get(index)?.reservations ?? []) reservation.force();
  }

  /** Gives back what an item has asked for, which is to ask again. */
  releaseItem(index: number): void {
    for (const reservation of this.#held?.get(index)?.reservations ?? []) reservation.release();
    this.#held?.delete(index);
  }

  /** Gives back what the items hold, from one index to before another. */
  release(from = 0, to = this.size): void {
    if (to === this.size) this.#releasePage();
    if (!this.#held) return;
    for (const [index, held] of this.#held) {
      if (index < from || index >= to) continue;
      for (const reservation of held.reservations) reservation.release();
      this.#held.delete(index);
    }
  }

  #releasePage(): void {
    this.#pageBytes?.release();
    this.#pageBytes = undefined;
  }
}

/** Items of a block that follow one another. */
export interface Slice {
  readonly block: Block;
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** How many items they are. */
export function lengthOf(slices: readonly Slice[]): number {
  return slices.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** Gives back what their items hold. */
export function release(slices: readonly Slice[]): void {
  for (const { block, from, to } of slices) block.release(from, to);
}

/** The same when they have committed: what was made of them may be large, and others of their block have yet to commit. */
export function forget(slices: readonly Slice[]): void {
  release(slices);
  for (const { block, from, to } of slices) block.outcomes.fill(undefined, from, to);
}
