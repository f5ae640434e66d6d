import { type Cursor, type KeyRange, sameCursor } from '../contract/cursor.ts';
import type { ReadPage } from '../contract/reader.ts';
import type { AnyChunkWork } from '../job/chunks.ts';
import { inSpan } from '../telemetry/traces.ts';
import type { ItemQueue } from './item-queue.ts';
import { LargePages } from './large-pages.ts';
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
  #after: Cursor | null;
  #passed: Cursor | undefined;

  constructor(request: ReadRequest, queue: ItemQueue) {
    this.#request = request;
    this.#queue = queue;
    this.#after = request.after;
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
      if (!this.#closed) this.#push(await this.#page(limit, bytes), limit);
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

  #page(limit: number, bytes: number): Promise<ReadPage<unknown>> {
    const { work, range, processing } = this.#request;
    return inSpan('read', {}, () =>
      work.reader.read({
        range,
        after: this.#after,
        limit,
        bytes,
        signal: AbortSignal.any([processing.signal, this.#giveUp.signal]),
      }),
    );
  }

  #push(page: ReadPage<unknown>, limit: number): void {
    const count = page.items.length;
    const last = count > 0 ? page.cursorAt(count - 1) : this.#after;
    this.#pages.push(this.#queue.push(page, this.#pages.hold(page)));
    this.#after = page.passed ?? last;
    this.#passed = page.passed && !sameCursor(page.passed, last) ? page.passed : undefined;
    const full = count >= limit || page.passed !== undefined;
    this.#ended = !full || sameCursor(this.#after, this.#request.range.upper);
  }
}
