import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ErrorClass } from '../../packages/keystride/src/contract/classification.ts';
import { type Cursor, cursorOf } from '../../packages/keystride/src/contract/cursor.ts';
import type { Reader, ReadRequest } from '../../packages/keystride/src/contract/reader.ts';
import type { ByteBudget } from '../../packages/keystride/src/page/byte-budget.ts';
import {
  type AnyChunkWork,
  chunks,
  type ItemContext,
  SkipItem,
} from '../../packages/keystride/src/job/chunks.ts';
import { classifyWith } from '../../packages/keystride/src/page/item-errors.ts';
import type { Chunk } from '../../packages/keystride/src/page/chunk.ts';
import { Pipeline } from '../../packages/keystride/src/page/pipeline.ts';

/** What becomes of one item, and how long it takes, in turns of the event loop; 0 answers without a promise. */
export interface ItemScript {
  readonly fate: 'write' | 'filter' | 'skip' | 'unreadable';
  readonly turns: number;
  /** Attempts that fail before the one that does not. */
  readonly failures: number;
  readonly bytes: number;
}

/** What one page commits, and what it is to be done with it. */
export interface PageScript {
  /** The page is stopped when so many items have been started; null lets it run. */
  readonly stopAfterStarts: number | null;
  readonly reason: 'pageOver' | 'cancelled';
  /** The page's time; 0 has passed when it begins. */
  readonly pageSeconds: number;
  /** The page is stopped while it reads for the first time. */
  readonly stopWhileReading?: boolean;
  /** The number of the commit that fails without effect, from 1; null lets all through. */
  readonly failingCommit: number | null;
}

export interface StepScript {
  readonly items: readonly ItemScript[];
  readonly chunkSize: number;
  readonly concurrency: number;
  readonly commitTurns: number;
  readonly readTurns: number;
  /** Whether the reader says how large its items are, and ends its pages by their bytes. */
  readonly sized?: boolean;
  /** Whether the range names its last key, or is open. */
  readonly bounded: boolean;
}

/** A fault that passes when it is tried again. */
class Hiccup extends Error {
  override readonly name = 'Hiccup';
}

class Unreadable extends Error {
  override readonly name = 'Unreadable';
}

const classifyOurs = (error: unknown): ErrorClass | undefined => {
  if (error instanceof Hiccup) return { decision: 'retry', code: 'HICCUP' };
  return error instanceof Unreadable ? { decision: 'skip', code: 'UNREADABLE' } : undefined;
};

/** A step over items in memory, and everything that its pages have done so far. */
export class InMemoryStep {
  readonly chunks: Chunk[] = [];
  /** Items in the order of their commit. */
  readonly effects: string[] = [];
  cursor: Cursor | null = null;
  mostInFlight = 0;
  commitsAtATime = 0;
  /** Calls of the processor for each item, retries included. */
  readonly calls: number[];
  readonly #script: StepScript;
  readonly #budget: ByteBudget;
  #inFlight = 0;
  #committing = 0;

  constructor(script: StepScript, budget: ByteBudget) {
    this.#script = script;
    this.#budget = budget;
    this.calls = script.items.map(() => 0);
  }

  /** What all pages together must have done: each item once, in order. */
  get model(): string[] {
    return this.#script.items.map(({ fate }, index) => effectOf(fate, index));
  }

  /**
   * Runs one page from the last commit.
   *
   * @returns whether the range has ended; undefined when a commit failed as the script says.
   */
  async page({
    stopAfterStarts,
    reason,
    pageSeconds,
    failingCommit,
    stopWhileReading = false,
  }: PageScript): Promise<boolean | undefined> {
    const { chunkSize, concurrency, items, bounded } = this.#script;
    const retry = { retries: 5, initialMs: 1, maximumMs: 2 };
    const abort = new AbortController();
    let starts = 0;
    let commits = 0;
    const work = this.#work(() => {
      starts++;
      // As a timer or a cancellation does: never in the middle of something.
      if (starts === stopAfterStarts) setImmediate(() => pipeline.stop(reason));
    });
    if (stopWhileReading) setImmediate(() => pipeline.stop(reason));
    const pipeline = new Pipeline({
      work,
      range: { lower: null, upper: bounded && items.length > 0 ? cursorAt(items.length - 1) : null },
      after: this.cursor,
      policy: { chunkSize, concurrency, pageSeconds, retry, skipLimit: items.length },
      processing: {
        processor: work.processor,
        classify: classifyWith(work.classifiers),
        retry,
        budget: this.#budget,
        signal: abort.signal,
      },
      prepare: async (chunk) => {
        await turns(this.#script.commitTurns);
        return chunk;
      },
      commit: async (chunk) => {
        commits++;
        if (commits === failingCommit) throw new Error('the commit was refused');
        await this.#commit(chunk);
      },
      abort: () => abort.abort(),
    });
    if (stopAfterStarts === 0) pipeline.stop(reason);
    try {
      return await pipeline.run();
    } catch (error) {
      if (failingCommit !== null && commits >= failingCommit) return undefined;
      throw error;
    }
  }

  #work(onStart: () => void): AnyChunkWork {
    return chunks<number, number>({
      reader: this.#reader(),
      processor: (index, context) => {
        if (context.attempt === 1) onStart();
        return this.#process(index, context);
      },
      writer: { write: () => Promise.resolve() },
      classifiers: [classifyOurs],
    });
  }

  #reader(): Reader<number> {
    const { items, readTurns, sized = false } = this.#script;
    return {
      plan: () => Promise.resolve({ ranges: [], expected: null }),
      read: async ({ after, limit, bytes = Infinity }: ReadRequest) => {
        await turns(readTurns);
        const first = after === null ? 0 : Number(after[0]) + 1;
        const found: number[] = [];
        let held = 0;
        const most = sized ? bytes : Infinity;
        for (let index = first; index < items.length && found.length < limit && held < most; index++) {
          found.push(index);
          held += items[index]?.bytes ?? 0;
        }
        const cut = found.length < limit && first + found.length < items.length;
        return {
          ...(sized && held > 0 ? { bytesAt: (index: number) => items[first + index]?.bytes ?? 0 } : {}),
          ...(cut ? { passed: cursorAt(first + found.length - 1) } : {}),
          items: found,
          cursorAt: (index) => cursorAt(first + index),
          keyAt: (index) => String(first + index),
          errorAt: (index) => (items[first + index]?.fate === 'unreadable' ? new Unreadable() : undefined),
        };
      },
    };
  }

  #process(index: number, context: ItemContext): number | null | Promise<number | null> {
    this.calls[index] = (this.calls[index] ?? 0) + 1;
    const item = this.#script.items[index];
    if (item === undefined) throw new Error(`there is no item ${index}`);
    if (item.turns === 0 && item.bytes === 0 && context.attempt > item.failures) return answerOf(item, index);
    return this.#slowly(item, index, context);
  }

  async #slowly(item: ItemScript, index: number, context: ItemContext): Promise<number | null> {
    this.#inFlight++;
    this.mostInFlight = Math.max(this.mostInFlight, this.#inFlight);
    try {
      if (item.bytes > 0) await context.reserve(item.bytes);
      await turns(item.turns);
      if (context.attempt <= item.failures) throw new Hiccup('try again');
      return answerOf(item, index);
    } finally {
      this.#inFlight--;
    }
  }

  async #commit(chunk: Chunk): Promise<void> {
    this.#committing++;
    this.commitsAtATime = Math.max(this.commitsAtATime, this.#committing);
    await turns(this.#script.commitTurns);
    this.chunks.push(chunk);
    const written = new Set(chunk.outputs as number[]);
    const skipped = new Map(chunk.skips.map((skip) => [Number(skip.key), skip]));
    const first = this.cursor === null ? 0 : Number(this.cursor[0]) + 1;
    const last = chunk.cursor === null ? first - 1 : Number(chunk.cursor[0]);
    for (let index = first; index <= last; index++) {
      const skip = skipped.get(index);
      const fate = written.has(index)
        ? 'write'
        : skip
          ? skip.phase === 'read'
            ? 'unreadable'
            : 'skip'
          : 'filter';
      this.effects.push(effectOf(fate, index));
    }
    this.cursor = chunk.cursor ?? this.cursor;
    this.#committing--;
  }
}

function answerOf({ fate }: ItemScript, index: number): number | null {
  if (fate === 'skip') throw new SkipItem('SCRIPTED', 'as the script says');
  return fate === 'filter' ? null : index;
}

function effectOf(fate: ItemScript['fate'], index: number): string {
  return `${fate} ${index}`;
}

function cursorAt(index: number): Cursor {
  return cursorOf([String(index)]);
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn();
}
