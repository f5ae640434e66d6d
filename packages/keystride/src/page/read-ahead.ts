import { type Cursor, type KeyRange, sameCursor } from '../contract/cursor.ts';
import type { ReadPage } from '../contract/reader.ts';
import type { AnyChunkWork } from '../job/chunks.ts';
import { inSpan } from '../telemetry/traces.ts';
import type { ItemQueue } from './item-queue.ts';
import { LargePages } from './large-pages.ts';
import { ReadEnds, requirePage } from './usable-read.ts';
import type { Processing } from './process-item.ts';

export interface ReadRequest {
  readonly work: Pick<AnyChunkWork, 'reader'>;
  readonly range: KeyRange;
  readonly after: Cursor | null;
  readonly processing: Pick<Processing, 'budget' | 'signal'>;
}

/** Reads the items of a range into the queue, one read at a time. */
export class ReadAhead {
  readonly #request: ReadRequest;
  readonly #queue: ItemQueue;
  readonly #pages: LargePages;
  readonly #giveUp = new AbortController();
  #reading = false;
  #ended = false;
  #closed = false;
  readonly #ends = new ReadEnds();
  #after: Cursor | null;
  #passed: Cursor | undefined;

  constructor(request: ReadRequest, queue: ItemQueue) {
    this.#request = request;
    this.#queue = queue;
    this.#after = request.after;
    this.#ends.add(request.after);
    this.#pages = new LargePages(request.processing.budget);
  }

  /** A read is under way. */
  get reading(): boolean {
    return this.#reading;
  }

  /** The range has no more items than those that are read. */
  get ended(): boolean {
    return this.#ended;
  }

  /** No read is under way, and there may be more to read. */
  get mayRead(): boolean {
    return !this.#reading && !this.#ended && !this.#closed;
  }

  /** There is room for another page of large items. */
  get hasRoom(): boolean {
    return this.#pages.mayReadOn;
  }

  /** How far the reader has looked without finding more; told once. */
  takePassed(): Cursor | undefined {
    const passed = this.#passed;
    this.#passed = undefined;
    return passed;
  }

  /** Reads at most `limit` items of about so many bytes. @throws what the reader throws */
  async read(limit: number, bytes: number): Promise<void> {
    this.#reading = true;
    try {
      await this.#pages.roomForNext();
      if (!this.#closed) this.#push(await this.#page(limit, bytes));
    } finally {
      this.#reading = false;
      this.#pages.releaseRoom();
    }
  }

  /** What waits for room is let in. */
  stopWaiting(): void {
    this.#pages.stopWaiting();
  }

  /** Begins no further read. */
  close(): void {
    this.#closed = true;
    this.#pages.stopWaiting();
  }

  /** Nobody is going to use what is being read. */
  giveUp(): void {
    this.#giveUp.abort();
  }

  async #page(limit: number, bytes: number): Promise<ReadPage<unknown>> {
    const { work, range, processing } = this.#request;
    const asked = { range, after: this.#after, limit };
    const signal = AbortSignal.any([processing.signal, this.#giveUp.signal]);
    const page = await inSpan('read', {}, () => work.reader.read({ ...asked, bytes, signal }));
    requirePage(page, asked);
    return page;
  }

  #push(page: ReadPage<unknown>): void {
    const count = page.items.length;
    const { passed } = page;
    const last = count > 0 ? page.cursorAt(count - 1) : this.#after;
    const end = passed ?? last;
    const goesOn = count > 0 || passed !== undefined;
    if (goesOn) this.#ends.add(end);
    this.#pages.push(this.#queue.push(page, this.#pages.hold(page)));
    this.#after = end;
    this.#passed = passed && !sameCursor(passed, last) ? passed : undefined;
    this.#ended = page.last === true || !goesOn || sameCursor(end, this.#request.range.upper);
  }
}
