import type { ReadPage } from '../contract/reader.ts';
import type { Reservation } from './byte-budget.ts';
import { Block, pending, Skipped, type Slice } from './block.ts';

/** Where an item is. */
export interface Place {
  readonly block: Block;
  readonly index: number;
}

/** How much may be in a chunk. */
export interface ChunkLimits {
  /** Items, those that could not be read not counted. */
  readonly items: number;
  /** Bytes that the items hold. */
  readonly bytes: number;
}

/** The items that are read and in no chunk yet, in key order: started from the front on, and taken from the front. */
export class ItemQueue {
  #blocks: Block[] = [];
  /** Items of the first block that have been taken. */
  #taken = 0;
  #length = 0;
  /** The next item to start: its block's place among the blocks, and its index there. */
  #startBlock = 0;
  #startIndex = 0;

  /** Items in it. */
  get length(): number {
    return this.#length;
  }

  /** Whether there are items that have not been started. */
  get hasNext(): boolean {
    return this.#startBlock < this.#blocks.length;
  }

  /** @returns where the page's items are; undefined when it has none. */
  push(page: ReadPage<unknown>, pageBytes?: Reservation): Block | undefined {
    if (page.items.length === 0) return undefined;
    const block = new Block(page, pageBytes);
    this.#blocks.push(block);
    this.#length += page.items.length;
    return block;
  }

  /** The next item to start, which counts as started; call it while it `hasNext`. */
  next(): Place {
    const block = this.#blocks[this.#startBlock] as Block;
    const index = this.#startIndex++;
    if (this.#startIndex === block.size) {
      this.#startBlock++;
      this.#startIndex = 0;
    }
    return { block, index };
  }

  /** Lets the item at the front know that it is the first which has not committed. */
  announceFirst(): void {
    this.#blocks[0]?.becomesFirst(this.#taken);
  }

  /**
   * Items at the front that all have an outcome: as many as fill a chunk, or up to the first that has none.
   *
   * @returns their number, and why there are no more of them: the chunk is full, an item is pending, or the queue ends.
   */
  ready(limits: ChunkLimits): { readonly length: number; readonly stop: 'full' | 'pending' | 'end' } {
    let readable = 0;
    let bytes = 0;
    let length = 0;
    for (const [place, block] of this.#blocks.entries()) {
      for (let index = place === 0 ? this.#taken : 0; index < block.size; index++) {
        const outcome = block.outcomes[index];
        if (outcome === pending) return { length, stop: 'pending' };
        const held = block.heldBytes(index);
        // One that fills a chunk by itself is alone in it: a statement has its bounds.
        if (length > 0 && held >= limits.bytes) return { length, stop: 'full' };
        length++;
        bytes += held;
        if (!(outcome instanceof Skipped) || outcome.phase !== 'read') readable++;
        if (readable === limits.items || bytes >= limits.bytes) return { length, stop: 'full' };
      }
    }
    return { length, stop: 'end' };
  }

  /** Takes items from the front; all of them have been started. */
  take(count: number): Slice[] {
    const slices: Slice[] = [];
    for (let left = count; left > 0;) {
      const block = this.#blocks[0] as Block;
      const from = this.#taken;
      const to = Math.min(block.size, from + left);
      slices.push({ block, from, to });
      left -= to - from;
      this.#taken = to;
      if (to === block.size) this.#dropFirst();
    }
    this.#length -= count;
    return slices;
  }

  /** Gives back what the items hold. */
  release(): void {
    for (const [place, block] of this.#blocks.entries()) block.release(place === 0 ? this.#taken : 0);
  }

  #dropFirst(): void {
    this.#blocks.shift();
    this.#startBlock--;
    this.#taken = 0;
  }
}
