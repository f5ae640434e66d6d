import { type Cursor, encodeCursor, isCursor, type KeyRange, sameCursor } from '../contract/cursor.ts';
import type { ReadPage, RowRange } from '../contract/reader.ts';
import { isCount, kindOf, UnusableAnswer } from '../contract/unusable-answer.ts';

/** Where a reader was to go on, and how many items it was asked for. */
interface Asked {
  readonly range: KeyRange;
  /** The last key that is done; null at the start of the range. */
  readonly after: Cursor | null;
  readonly limit: number;
}

/**
 * The ends of the pages that a range was read in. JavaScript cannot tell which of two cursors comes first, but a reader
 * that goes back comes by one of them again.
 */
export class ReadEnds {
  readonly #ends = new Set<string | null>();

  /** @throws UnusableAnswer where the range was read up to here before. */
  add(end: Cursor | null): void {
    const text = encodeCursor(end);
    if (this.#ends.has(text))
      throw broken(
        'came back to where it has been: its cursors do not move on. Items must come in the order of their cursors, ' +
          'and those after `after` alone',
      );
    this.#ends.add(text);
  }
}

/**
 * Requires of what a reader has answered that it is a page, and one that goes on from where the last one ended.
 *
 * @throws UnusableAnswer
 */
export function requirePage(page: unknown, { range, after, limit }: Asked): void {
  if (typeof page !== 'object' || page === null) throw broken(`answered with ${kindOf(page)} for a page`);
  const { items, cursorAt, keyAt, passed, last } = page as Partial<ReadPage<unknown>>;
  if (!Array.isArray(items)) throw broken(`gave ${kindOf(items)} for the list of items`);
  if (typeof cursorAt !== 'function' || typeof keyAt !== 'function')
    throw broken('gave a page without the functions cursorAt and keyAt');
  if (items.length > limit) throw broken(`gave ${items.length} items for the ${limit} that it was asked for`);
  if (passed !== undefined && !isCursor(passed)) throw broken(`gave ${kindOf(passed)} for \`passed\``);
  if (last !== undefined && typeof last !== 'boolean') throw broken(`gave ${kindOf(last)} for \`last\``);
  if (items.length > 0) requirePlaces(page as ReadPage<unknown>, range, after);
}

/** Each item has a place of its own, behind the one at which the page was to go on, and within the range. */
function requirePlaces(page: ReadPage<unknown>, { lower, upper }: KeyRange, after: Cursor | null): void {
  const key: unknown = page.keyAt(0);
  if (typeof key !== 'string') throw broken(`named an item by ${kindOf(key)}: keyAt must give a text`);
  const from = after ?? lower;
  const end = page.items.length - 1;
  let before: Cursor | null = null;
  for (let index = 0; index <= end; index++) {
    const cursor: unknown = page.cursorAt(index);
    if (!isCursor(cursor))
      throw broken(`gave a cursor that is none: it must be a list of texts (cursorOf([String(id)]))`);
    if (sameCursor(cursor, from))
      throw broken('gave the item once more after which it was to go on: `after` and `range.lower` are done');
    if (sameCursor(cursor, before))
      throw broken('gave two items one cursor: what ends a page between them is lost. A key must be unique');
    if (index < end && sameCursor(cursor, upper))
      throw broken('read on behind the end of its range: `range.upper` is the last item of it');
    before = cursor;
  }
}

/**
 * The same of the rows that a set step's reader has found.
 *
 * @throws UnusableAnswer
 */
export function requireRange(found: unknown, { range, after }: Asked): void {
  if (found === null) return;
  if (typeof found !== 'object')
    throw broken(`answered with ${kindOf(found)}: it must be a range of rows, or null where none is left`);
  const { upper, rows, open, last } = found as Partial<RowRange>;
  if (!isCursor(upper)) throw broken(`gave ${kindOf(upper)} for the key of the last row: a list of texts`);
  if (!isCount(rows)) throw broken(`gave ${kindOf(rows)} for the number of rows`);
  if (last !== undefined && typeof last !== 'boolean') throw broken(`gave ${kindOf(last)} for \`last\``);
  if (open !== true && sameCursor(upper, after ?? range.lower))
    throw broken('gave a range that ends where it was to begin: its cursors do not move on');
}

function broken(what: string): UnusableAnswer {
  return new UnusableAnswer(`the reader ${what}. Nothing of this page has been processed`);
}
