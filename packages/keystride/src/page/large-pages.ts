import type { ReadPage } from '../contract/reader.ts';
import type { Block } from './block.ts';
import type { ByteBudget, Reservation } from './byte-budget.ts';

/** Pages of large items that one range may hold at a time: one that commits, one that is read ahead. */
const pagesAhead = 2;

/**
 * The bytes of the large items that a range has read and not committed. They count in the worker's budget as those do
 * that a processor asks for; a page of small items counts for nothing and waits for nobody.
 */
export class LargePages {
  readonly #budget: ByteBudget;
  #blocks: Block[] = [];
  /** What the last page took, if it was large. */
  #expected = 0;
  #waiting: Reservation | undefined;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  /** Whether no more are held than may be. */
  get mayReadOn(): boolean {
    if (this.#blocks.length < pagesAhead) return true;
    this.#blocks = this.#blocks.filter((block) => block.holdsPage);
    return this.#blocks.length < pagesAhead;
  }

  /** Where the last page was large, waits until the budget has room for another one, or until `stopWaiting`. */
  async roomForNext(): Promise<void> {
    if (this.#expected === 0) return;
    this.#waiting = this.#budget.reserve(this.#expected);
    await this.#waiting.admitted;
  }

  /** What waits is let in, over the limit if need be: nothing else of the range could go on before. */
  stopWaiting(): void {
    this.#waiting?.force();
  }

  /** Counts what was read in the place of the room that was kept for it. */
  hold(page: ReadPage<unknown>): Reservation | undefined {
    this.releaseRoom();
    const { bytesAt } = page;
    this.#expected = bytesAt ? page.items.reduce<number>((sum, _, index) => sum + bytesAt(index), 0) : 0;
    if (this.#expected === 0) return undefined;
    const held = this.#budget.reserve(this.#expected);
    held.force();
    return held;
  }

  push(block: Block | undefined): void {
    if (block?.holdsPage) this.#blocks.push(block);
  }

  /** Gives back the room that was kept for a page which is not read. */
  releaseRoom(): void {
    this.#waiting?.release();
    this.#waiting = undefined;
  }
}
