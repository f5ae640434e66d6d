import type { Logger } from '@temporalio/common';
import { ToldError } from '../contract/errors.ts';
import type { Cursor } from '../contract/cursor.ts';
import type { Classifier } from '../contract/classification.ts';
import type { Counters } from '../contract/progress.ts';
import type { RangeReader, Reader, RowRange } from '../contract/reader.ts';
import type { WriteAttempt } from '../contract/write-attempt.ts';
import type { CallLimiter } from '../stores/http/call-limiter.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { Skip } from '../ledger/skips.ts';

/** What a step knows of the run it works for. */
export interface StepContext<Parameters = Readonly<Record<string, unknown>>> {
  readonly parameters: Parameters;
  /** In a redrive of its skips too. */
  readonly instance: string;
  /** Rises with every execution of the instance. Stores that are to refuse a ghost's write need the attempt's fence. */
  readonly epoch: number;
  readonly log: Logger;
}

/** What a processor may ask for while it works on one item. */
export interface ItemContext {
  /** Aborted when the page ends before the item does; pass it to every call. */
  readonly signal: AbortSignal;
  /** 1 at the first attempt. */
  readonly attempt: number;
  /**
   * Aborted when the item is not to begin anything any more, which is as soon as the page is to end: for whoever waits
   * for his turn. What has begun goes on until `signal`, and an item that is tried again may still wait.
   */
  readonly waiting: AbortSignal;
  /**
   * Waits until so many more bytes may be held in memory, and holds them until the item has committed. The first
   * item of the page is always let through, so that a bound too small for one item stops nobody.
   */
  reserve(bytes: number): Promise<void>;
}

/**
 * Turns an item into what is written, or null to leave it out; undefined is refused. It may be tried again with the same
 * item: change nothing of it before what may fail. Throwing `SkipItem`, or an error that is classified
 * as `skip`, sets the item aside. It runs outside of any transaction.
 */
export type Processor<Item, Output> = (
  item: Item,
  context: ItemContext,
) => Output | null | PromiseLike<Output | null>;

/**
 * Its members are properties: the compiler lets a method take narrower items than the processor gives. Each call is given
 * a list of its own, of the outputs as the processor has made them: an attempt that is repeated is given the same ones, so
 * they must not be changed.
 */
export interface Writer<Output> {
  /**
   * Writes to stores outside of the chunk's transaction. It must be idempotent and return only when they have
   * acknowledged: the transaction begins after that. Chunks may be prepared side by side. It throws `PartialWrite`
   * when it knows which items failed.
   *
   * @param attempt what the writes carry, so that those of an earlier attempt, which may still be alive, change nothing
   *   of them: see `upsertDocuments`. A store that refuses for it is an `OvertakenWrite`, never a write.
   */
  readonly prepare?: (outputs: readonly Output[], attempt: WriteAttempt) => Promise<void>;
  /**
   * Writes in the chunk's transaction, after the checkpoint has moved. In bulk: it is called once a chunk, and on
   * halves of it when an item that may be skipped cannot be written, or when all of it takes a statement too long.
   *
   * @returns how many it has written, where it can count them: the others, which were as they should be already, are
   * then filtered, and the books agree with the target. A writer that cannot count returns nothing.
   */
  readonly write: (outputs: readonly Output[], transaction: Transaction) => Promise<number | void>;
}

interface StepWork {
  /** What only this step knows about errors; asked before the stores' own tables. */
  readonly classifiers?: readonly Classifier[];
  /** Called in the transaction that opens the step, once an execution. */
  beforeStep?(transaction: Transaction): Promise<void>;
  /** Called in the transaction that completes the step, once. */
  afterStep?(transaction: Transaction, counters: Counters): Promise<void>;
  /**
   * What runs an item again that was set aside, where that is not the work of the step itself. Of its reader `readKeys` is
   * asked alone.
   */
  readonly redrive?: AnyChunkWork;
}

/** Takes rows of a range that cannot be written. */
export interface SetAside {
  /** Whether the step's policy lets a row be set aside whose write has failed so. */
  takes(error: unknown): boolean;
  /**
   * Notes a row as a skip, or as once more refused where it has one already. What was tried for it must have been rolled
   * back, to a savepoint.
   *
   * @throws SkipLimitExceeded; the range then rolls back as a whole.
   */
  note(row: RefusedRow, error: unknown): Promise<void>;
}

/** A row that was not written. */
export interface RefusedRow {
  /** What names it to people. */
  readonly key: string;
  /** How a redrive finds it again. */
  readonly cursor: Cursor;
}

/** The work of a chunk step: how its items are read, processed and written. */
export interface ChunkWork<Item, Output> extends StepWork {
  readonly reader: Reader<Item>;
  readonly processor: Processor<Item, Output>;
  readonly writer: Writer<Output>;
  /** What lets the calls out that the processor makes: its decisions are those of the step. */
  calls?(): CallLimiter;
  /** The processor changes something elsewhere, such as sending a message: `keystride plan` does not try it. */
  readonly hasEffects?: boolean;
  /**
   * Decides about an error that would otherwise end the step: true sets the item aside. The step's skip limit holds all
   * the same. What it throws itself ends the step.
   */
  skipPolicy?(error: unknown): boolean;
  /**
   * What is kept of an item that is set aside, for whoever looks at its skip: a value that JSON can hold, up to 8 KiB. It
   * stands in the ledger, in the console, in lists and exports: leave out what people on call are not to see.
   *
   * @default nothing of it
   */
  keepItem?(item: Item): unknown;
  /** Called in the chunk's transaction with the items that it sets aside. */
  readonly onSkip?: (skips: readonly Skip<Item>[], transaction: Transaction) => Promise<void>;
}

/** The work of any chunk step, its item types known to nobody but itself. */
export type AnyChunkWork = ChunkWork<unknown, unknown>;

/** Declares the work of a chunk step; the item types must agree from reader to writer. */
export function chunks<Item, Output>(work: ChunkWork<Item, Output>): AnyChunkWork {
  // The engine only ever hands a step's items back to the step itself.
  return work as unknown as AnyChunkWork;
}

/** The work of a set step: a chunk step whose reading, processing and writing is SQL over a range of keys. */
export interface SetWork<Range extends RowRange> extends StepWork {
  readonly reader: RangeReader<Range>;
  /**
   * Reads, processes and writes the rows of a range by statements, in the chunk's transaction, after the checkpoint has
   * moved. A statement that fails for good ends the step: nothing is skipped but what is given to `aside`.
   *
   * @param aside undefined where the step is only tried, by `keystride plan`.
   * @returns how many of the range's rows it has written; the others count as filtered, or as skipped.
   */
  readonly write: (range: Range, transaction: Transaction, aside?: SetAside) => Promise<number>;
}

/** The work of any set step, its range type known to its reader alone. */
export type AnySetWork = SetWork<RowRange>;

/** Declares the work of a set step. */
export function sets<Range extends RowRange>(work: SetWork<Range>): AnySetWork {
  // The engine only ever hands a reader's ranges back to the work that has the reader.
  return work as unknown as AnySetWork;
}

/** Thrown by `prepare` when some items failed and all others are written. */
export class PartialWrite extends ToldError {
  override readonly name = 'PartialWrite';
  /** The error of each item that failed, by its index in what was given to `prepare`. */
  readonly failed: ReadonlyMap<number, unknown>;

  constructor(failed: ReadonlyMap<number, unknown>) {
    super(`${failed.size} items could not be written`);
    this.failed = failed;
  }
}

/** Thrown by a processor to set its item aside. */
export class SkipItem extends ToldError {
  override readonly name = 'SkipItem';
  readonly code: string;

  /**
   * @param code stable and short: `NOT_FOUND`.
   * @param message for people; never the item's content.
   */
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
