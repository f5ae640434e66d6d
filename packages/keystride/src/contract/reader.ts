import type { Cursor, KeyRange } from './cursor.ts';
import { ToldError } from './told-error.ts';

/** How a chunk step's keys are divided, decided once when the step opens and remembered by the ledger. */
export interface ReadPlan {
  /**
   * Their union is the key space up to the frozen upper bound: the first begins at null, each other where the one before
   * ends; else the step is refused, `UnusableAnswer`. Empty: nothing to read.
   */
  readonly ranges: readonly KeyRange[];
  /** The ranges do not meet, or leave out the first keys, on purpose: parts of several files, say. @default false */
  readonly apart?: boolean;
  /** Rows expected, by count or by the planner's estimate; null when nobody knows. */
  readonly expected: number | null;
  /** Whether `expected` was counted, over these ranges; undefined for an estimate. */
  readonly counted?: boolean;
}

/**
 * Consecutive items of a range, in key order. It stays as it is: the next one is read while its items are still at work.
 *
 * A page that cannot be one ends the step (`UnusableAnswer`) before anything of it is processed.
 */
export interface ReadPage<Item> {
  readonly items: readonly Item[];
  /** The place of item `index` in the key order: texts, others than those of any other item. */
  cursorAt(index: number): Cursor;
  /** What names item `index` to people: in the skip list, in messages. */
  keyAt(index: number): string;
  /** The error that reading item `index` alone raised, if it did. */
  errorAt?(index: number): unknown;
  /** Bytes that item `index` takes in memory, about. Left out where the items are small. */
  bytesAt?(index: number): number;
  /**
   * How far the reader has looked, where that is not told by its last item: it found no more up to here, and the range
   * may go on. The checkpoint follows, so that a range with little in it is not looked through again from its beginning.
   * Also of a page that has ended because its items are large: then it is the key of its last one.
   */
  readonly passed?: Cursor;
  /** The range ends with this page. Left out, it is read on until a page has neither items nor `passed`. */
  readonly last?: boolean;
}

/** A page in which nothing was found, up to a key that was looked at; without one the range has ended. */
export function emptyPage(passed?: Cursor): ReadPage<never> {
  const none = () => {
    throw new ToldError('a page without items has no keys');
  };
  return { items: [], cursorAt: none, keyAt: none, ...(passed && { passed }) };
}

export interface ReadRequest {
  readonly range: KeyRange;
  /** The last key that is done; null at the start of the range. */
  readonly after: Cursor | null;
  /** Items wanted at most. Fewer in answer do not mean that the range has ended: see `ReadPage.last`. */
  readonly limit: number;
  /**
   * Bytes wanted at most, about: a reader ends its page where its items take so many together, and says how far it has
   * `passed`. One item always comes, however large it is. @default no bound
   */
  readonly bytes?: number;
  readonly signal: AbortSignal;
}

/** Where what is left of a range can be cut in two. */
export interface RangeSplit {
  /** The last key of the lower part: an item that is there, with others above it in the range. */
  readonly at: Cursor;
  /** Items left in the range, about. */
  readonly items: number;
}

export interface SplitRequest {
  readonly range: KeyRange;
  /** The last key that is done; null at the start of the range. */
  readonly after: Cursor | null;
  /** With fewer items left than this the range stays whole. At least 2. */
  readonly fewest: number;
  readonly signal: AbortSignal;
}

/** An item that was read by its key, or the error that reading it raised. */
export type ItemRead<Item> = { readonly item: Item } | { readonly error: unknown };

/** Where a chunk step's items come from. */
export interface Reader<Item> {
  plan(request: { readonly partitions: number; readonly signal: AbortSignal }): Promise<ReadPlan>;
  /**
   * What would make reading slow, for people: a missing index, say.
   *
   * @throws what keeps it from reading at all: a key that may be null, say
   */
  problems?(): Promise<readonly string[]>;
  /**
   * What the order of its keys depends on, in words for people: the types of their columns, and how texts are sorted. It is
   * kept when a step opens; a page that meets another order reads nothing, since keys that are not done may lie before those
   * that are. Left out where nothing but the reader decides it.
   */
  order?(): Promise<string>;
  read(request: ReadRequest): Promise<ReadPage<Item>>;
  /**
   * Finds where to cut what is left of a range, so that both parts hold about as many items and neither is empty. It is
   * asked when slots of a running step have fallen idle; a reader without it keeps its ranges as they were planned.
   *
   * @returns null when too few items are left.
   */
  split?(request: SplitRequest): Promise<RangeSplit | null>;
  /**
   * How far the source has come, in words of the reader's own: kept with what is skipped, so that a redrive does not take an
   * older item for it. For a source that may be read where it shows what it was a while ago, as on a standby. Null where it
   * cannot tell.
   */
  position?(): Promise<string | null>;
  /**
   * Reads single items again, for a redrive of what was skipped: one answer a key, in their order; undefined for an item
   * that is no longer there. A reader without it cannot be redriven.
   *
   * @param request.keys the items' cursors, as `read` gave them.
   * @param request.since what `position` told when they were skipped, null where nobody noted it: an item of before that is
   *   not the one that was skipped. Left out where any will do.
   */
  readKeys?(request: {
    readonly keys: readonly Cursor[];
    readonly since?: readonly (string | null)[];
    readonly signal: AbortSignal;
  }): Promise<readonly (ItemRead<Item> | undefined)[]>;
}

/** Consecutive rows of a key range, as many as one statement is to work on. */
export interface RowRange {
  /** The key of the last of them. */
  readonly upper: Cursor;
  /** How many there are. */
  readonly rows: number;
  /** The range goes on, however few they are: whoever follows a source that grows has what there is now. */
  readonly open?: true;
  /** The range ends with these rows. Left out, it is asked on until there are none. */
  readonly last?: boolean;
}

/** Where a set step's rows are: it is told their keys' ranges and never reads the rows themselves. */
export interface RangeReader<Range extends RowRange> extends Pick<
  Reader<unknown>,
  'plan' | 'problems' | 'order' | 'split'
> {
  /**
   * The next `limit` rows, or fewer; null where none is left. An open one without rows that ends where it begins is not
   * committed. A range that cannot be one ends the step (`UnusableAnswer`) before anything of it is written.
   */
  next(request: ReadRequest): Promise<Range | null>;
}
