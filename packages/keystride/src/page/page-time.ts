/** Of a page's time, what is kept at most for bringing to its end what is in hand: a slow call must not use it up. */
const mostForTheEnd = 1 / 4;

/** What is left of an earlier, longer time after each item, and after each chunk: one slow call is soon forgotten. */
const memory = { item: 0.98, chunk: 0.7 };

/**
 * Keeps a page of items to its time: it exceeds it by one chunk at most.
 *
 * A page has several chunks in hand: being committed, formed, and in the making. So it starts nothing new some time before
 * its end, as long as items and commits have lately taken, and what it has in hand commits by then. Where that was too
 * late (commits have become slower, or the time is too short for more than a chunk or two), no chunk begins to commit
 * after the end, and the next page reads its items again. Calls that were under way for longer than that are not
 * thrown away: what an item takes belongs to its chunk.
 */
export class PageTime {
  readonly #endsAt: number;
  readonly #milliseconds: number;
  #itemMs = 0;
  #chunkMs = 0;
  #chunks = 0;

  constructor(seconds: number) {
    this.#milliseconds = seconds * 1000;
    this.#endsAt = performance.now() + this.#milliseconds;
  }

  /** Notes what an item took that was not processed at once, its retries included, in milliseconds. */
  itemTook(milliseconds: number): void {
    this.#itemMs = Math.max(milliseconds, memory.item * this.#itemMs);
  }

  /** Notes what a chunk took from its turn to its commit, in milliseconds. */
  chunkTook(milliseconds: number): void {
    this.#chunkMs = Math.max(milliseconds, memory.chunk * this.#chunkMs);
    this.#chunks++;
  }

  /**
   * Whether nothing new is to be started, for what is in hand takes the rest of the time. Every page does one chunk.
   *
   * @param chunks in hand, whole or begun.
   */
  isEnding(chunks: number): boolean {
    if (this.#chunks === 0) return false;
    const needed = Math.min(this.#itemMs + chunks * this.#chunkMs, this.#milliseconds * mostForTheEnd);
    return performance.now() + needed >= this.#endsAt;
  }

  /** Whether a chunk has committed. */
  get hasDoneOne(): boolean {
    return this.#chunks > 0;
  }

  /** Whether another chunk may begin to commit. */
  get allowsChunk(): boolean {
    return this.#chunks === 0 || performance.now() <= this.#endsAt + this.#itemMs;
  }
}
