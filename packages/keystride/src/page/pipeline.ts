import type { Cursor, KeyRange } from '../contract/cursor.ts';
import type { PagePolicy } from '../contract/step-activities.ts';
import { forget, lengthOf, release, type Slice } from './block.ts';
import { type Chunk, chunkOf } from './chunk.ts';
import type { ChunkSize } from './chunk-size.ts';
import type { AnyChunkWork } from '../job/chunks.ts';
import { ItemQueue } from './item-queue.ts';
import { ItemsInFlight } from './items-in-flight.ts';
import { PageTime } from './page-time.ts';
import type { Processing } from './process-item.ts';
import { ReadAhead } from './read-ahead.ts';

export interface PipelineRequest {
  readonly work: AnyChunkWork;
  readonly range: KeyRange;
  readonly after: Cursor | null;
  readonly policy: PagePolicy;
  /** The commit interval where it moves; undefined for that of the policy. */
  readonly chunkSize?: ChunkSize;
  readonly processing: Processing;
  /** Writes outside of the transaction; may run for several chunks at a time. Answers what is left to commit. */
  prepare(chunk: Chunk): Promise<Chunk>;
  /** The chunk's transaction; called for one chunk at a time, in key order. */
  commit(chunk: Chunk): Promise<void>;
  /** Gives up what has not begun yet. */
  end?(): void;
  /** Gives up what is under way. */
  abort(): void;
}

interface PreparedChunk {
  readonly chunk: Chunk;
  readonly slices: readonly Slice[];
  readonly prepared: Promise<Chunk>;
  /** What preparing it took, in milliseconds; undefined while it is under way. */
  preparing?: number;
}

/** Chunks whose outside writes may be under way at a time. */
const preparedAhead = 3;

/** A chunk of large items is full when they hold this share of all bytes that may be held. */
const chunkShareOfBytes = 1 / 16;

/** How long items in flight may take to finish when the page ends, in milliseconds. Formed chunks are not cut off. */
const drainMs = { pageOver: 30_000, cancelled: 3_000, failed: 3_000 };

/**
 * Moves the items of a range through reading, processing and committing, all three at a time.
 *
 * Items stand in one queue, in key order. They are read ahead, processed with bounded concurrency whatever chunk they
 * will belong to, and leave at the front: as soon as the next `chunkSize` readable items have an outcome, they form a
 * chunk; large items make smaller ones. Chunks are prepared side by side and committed one after another, so the
 * checkpoint never runs ahead of an item that is still being processed. When bytes are short, what is ready at the
 * front commits early.
 *
 * `#advance` is the only place that decides; everything that happens (a page read, an item done, a chunk committed,
 * the end of the page's time) calls it.
 */
export class Pipeline {
  readonly #request: PipelineRequest;
  readonly #queue = new ItemQueue();
  readonly #items: ItemsInFlight;
  readonly #reads: ReadAhead;
  #chunks: PreparedChunk[] = [];
  #committing = false;
  #endCommitted = false;
  #stopping: 'pageOver' | 'cancelled' | 'failed' | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** A chunk did not commit: nothing behind it may, or the checkpoint would jump over it. */
  #gap = false;
  /** Chunks that are left to the next page, and whose outside writes have not ended. */
  #leaving = 0;
  readonly #time: PageTime;
  /** The page's time is over, and it has nothing yet but a read under way. */
  #late = false;
  #drainTimer: NodeJS.Timeout | undefined;
  readonly #finished = Promise.withResolvers<void>();

  constructor(request: PipelineRequest) {
    this.#request = request;
    this.#time = new PageTime(request.policy.pageSeconds);
    this.#reads = new ReadAhead(request, this.#queue);
    this.#items = new ItemsInFlight({
      queue: this.#queue,
      policy: request.policy,
      processing: request.processing,
      ended: (milliseconds) => {
        this.#time.itemTook(milliseconds);
        this.#advance();
      },
      due: () => this.#advance(),
      failed: (error) => this.#fail(error),
    });
  }

  /** Items being processed at this moment. */
  get inFlight(): number {
    return this.#items.count;
  }

  /**
   * Runs until the range has ended or `stop` was called and everything that was under way is committed.
   *
   * @returns whether the range has ended.
   * @throws whatever made an item, a read or a commit fail for good; whole chunks before it are committed.
   */
  async run(): Promise<boolean> {
    const ignore = this.#request.processing.budget.onContention(() => this.#advance());
    this.#advance();
    try {
      await this.#finished.promise;
    } finally {
      ignore();
      clearTimeout(this.#drainTimer);
      this.#items.close();
      this.#request.abort();
      this.#queue.release();
    }
    return this.#endCommitted;
  }

  /** Starts nothing new; what is in flight may finish and commit, for a bounded time. */
  stop(reason: 'pageOver' | 'cancelled' | 'failed'): void {
    if (this.#stopping === reason || this.#stopping === 'failed') return;
    // A read that takes longer than a page would else be given up by this page, and by the next one again.
    const hasNothing = this.#reads.reading && this.#uncommitted() === 0 && !this.#time.hasDoneOne;
    if (reason === 'pageOver' && hasNothing) return void (this.#late = true);
    this.#stopping = reason;
    this.#items.close();
    this.#request.end?.();
    this.#reads.close();
    if (reason !== 'pageOver') this.#reads.giveUp();
    clearTimeout(this.#drainTimer);
    this.#drainTimer = setTimeout(() => this.#request.abort(), drainMs[reason]);
    this.#advance();
  }

  #advance(): void {
    if (!this.#stopping && this.#isOver()) return this.stop('pageOver');
    if (this.#isStuck()) this.#reads.stopWaiting();
    if (this.#stopping === 'pageOver' && !this.#time.allowsChunk) this.#leaveWaiting();
    this.#items.startMore();
    this.#formChunks();
    this.#markPassed();
    if (!this.#committing && this.#chunks[0]) void this.#commitFirst(this.#chunks[0]);
    if (this.#wantsMore()) void this.#readMore();
    if (this.#isIdle()) this.#finish();
  }

  #isOver(): boolean {
    if (this.#late && this.#time.hasDoneOne) return true;
    return this.#time.isEnding(this.#uncommitted() / this.#chunkSize());
  }

  #wantsMore(): boolean {
    if (!this.#reads.mayRead) return false;
    return this.#isStuck() || (this.#uncommitted() < this.#window() && this.#reads.hasRoom);
  }

  /** However many unreadable rows the queue holds, they make no chunk: then only reading on helps. */
  #isStuck(): boolean {
    return this.#items.count === 0 && this.#chunks.length === 0 && !this.#queue.hasNext;
  }

  #uncommitted(): number {
    return this.#chunks.reduce((sum, { slices }) => sum + lengthOf(slices), this.#queue.length);
  }

  /** Items that may be between reader and commit: enough that one slow item at the front does not idle the rest. */
  #window(): number {
    const { concurrency } = this.#request.policy;
    const chunkSize = this.#chunkSize();
    return Math.max(2 * concurrency, chunkSize) + chunkSize;
  }

  #chunkSize(): number {
    return this.#request.chunkSize?.present ?? this.#request.policy.chunkSize;
  }

  #chunkBytes(): number {
    return this.#request.processing.budget.limit * chunkShareOfBytes;
  }

  #isIdle(): boolean {
    if (this.#reads.reading || this.#items.count > 0 || this.#committing || this.#chunks.length > 0)
      return false;
    if (this.#leaving > 0) return false;
    return this.#stopping !== undefined || this.#endCommitted;
  }

  #finish(): void {
    if (this.#failure) this.#finished.reject(this.#failure.error);
    else this.#finished.resolve();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.stop('failed');
  }

  async #readMore(): Promise<void> {
    try {
      await this.#reads.read(Math.min(this.#chunkSize(), 10_000), this.#chunkBytes());
    } catch (error) {
      if (!this.#stopping) this.#fail(error);
    }
    if (this.#late && !this.#stopping) this.#stopLater();
    this.#advance();
  }

  /** What was read late has a page's time from now on, for one chunk. */
  #stopLater(): void {
    const milliseconds = this.#request.policy.pageSeconds * 1000;
    this.#drainTimer ??= setTimeout(() => this.stop('pageOver'), milliseconds);
  }

  #formChunks(): void {
    while (!this.#gap && this.#chunks.length < preparedAhead && !this.#endFormed()) {
      const size = this.#nextChunkLength();
      if (size === undefined) return;
      const slices = this.#queue.take(size);
      this.#queue.announceFirst();
      const chunk = chunkOf(slices, this.#reads.ended && this.#queue.length === 0);
      this.#chunks.push(this.#prepare(chunk, slices));
    }
  }

  /** Where nothing waits to commit, a chunk without items moves the checkpoint to where the reader has looked. */
  #markPassed(): void {
    if (this.#reads.ended || this.#gap) return;
    if (this.#queue.length > 0 || this.#chunks.length > 0) return;
    const cursor = this.#reads.takePassed();
    if (cursor === undefined) return;
    this.#chunks.push(this.#prepare({ ...chunkOf([], false), cursor }, []));
  }

  #prepare(chunk: Chunk, slices: readonly Slice[]): PreparedChunk {
    const begun = performance.now();
    const prepared = this.#request.prepare(chunk);
    const formed: PreparedChunk = { chunk, slices, prepared };
    // Its failure is met when the chunk's turn to commit comes.
    prepared.then(
      () => void (formed.preparing = performance.now() - begun),
      () => undefined,
    );
    return formed;
  }

  #endFormed(): boolean {
    return this.#endCommitted || this.#chunks.at(-1)?.chunk.last === true;
  }

  /** Items at the front of the queue that commit together now; undefined when more must happen first. */
  #nextChunkLength(): number | undefined {
    const limits = { items: this.#chunkSize(), bytes: this.#chunkBytes() };
    const { length, stop } = this.#queue.ready(limits);
    const whole = stop === 'full' || (stop === 'end' && this.#reads.ended && !this.#stopping);
    return whole || (length > 0 && this.#mayCommitEarly()) ? length : undefined;
  }

  /** A chunk may be cut short when the page ends early, or to free bytes that others wait for. */
  #mayCommitEarly(): boolean {
    if (this.#stopping === 'failed') return false;
    if (this.#stopping && this.#items.count === 0) return true;
    return this.#request.processing.budget.contended && this.#chunks.length === 0;
  }

  /** Leaves the chunks that wait for their commit to the next page, and what is behind them: this one has had its time. */
  #leaveWaiting(): void {
    const waiting = this.#chunks.splice(this.#committing ? 1 : 0);
    if (waiting.length === 0) return;
    this.#gap = true;
    this.#request.abort();
    this.#queue.release();
    for (const { slices, prepared } of waiting) {
      this.#leaving++;
      // An outside write must not overtake the one with which the next page repeats it.
      void prepared
        .catch(() => undefined)
        .finally(() => {
          release(slices);
          this.#leaving--;
          this.#advance();
        });
    }
  }

  async #commitFirst(first: PreparedChunk): Promise<void> {
    const { chunk, slices, prepared } = first;
    this.#committing = true;
    const turn = performance.now();
    try {
      const ready = await prepared;
      const begun = performance.now();
      await this.#request.commit(ready);
      // What it waited for others in between says nothing about its size.
      this.#request.chunkSize?.took(lengthOf(slices), (first.preparing ?? 0) + performance.now() - begun);
      this.#time.chunkTook(performance.now() - turn);
      this.#endCommitted = chunk.last;
      this.#chunks.shift();
      forget(slices);
    } catch (error) {
      this.#gap = true;
      // With those behind it: they are not to commit either.
      for (const given of this.#chunks) release(given.slices);
      this.#chunks = [];
      this.#fail(error);
      this.#request.abort();
    } finally {
      this.#committing = false;
    }
    this.#advance();
  }
}
