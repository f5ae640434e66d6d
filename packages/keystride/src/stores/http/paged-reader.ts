import { bytesOf } from '../../contract/bytes.ts';
import { ToldError } from '../../contract/errors.ts';
import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import type { ReadPage, ReadPlan, Reader } from '../../contract/reader.ts';
import { MalformedBody, Unacceptable } from './errors.ts';

/** What an API answers for one of its pages. */
export interface ApiPage<Item> {
  readonly items: readonly Item[];
  /** What names the next page; null or empty when this is the last one, which has to be said. */
  readonly next: string | null;
}

export interface PagedSource<Item> {
  /**
   * Fetches a page: the first one for null, else the one that a page named as its next. The same token must give the
   * same items in the same order for as long as the step runs. What it throws is classified like any error of a read;
   * `HttpStatusError` carries Retry-After.
   */
  page(token: string | null, context: { readonly signal: AbortSignal }): Promise<ApiPage<Item>>;
  /** What names an item, once in all pages; an error that it throws is the failed read of that item alone. */
  keyOf(item: Item): string;
  /** Items in all pages, if the API tells. A step that completes with fewer says so. */
  count?(context: { readonly signal: AbortSignal }): Promise<number>;
}

/** An API whose pages do not stay as they were. */
export class PagesMoved extends ToldError {
  override readonly name = 'PagesMoved';
}

/**
 * Reads an API page by page, in one range: only the API knows where its pages begin.
 *
 * An item's cursor is `[token of its page, index in it, key]`. Going on from it fetches the page once more and looks
 * whether the item is still at its place, or where it has moved to in the page.
 *
 * @throws PagesMoved when the item is no longer in its page, so that nobody can tell what has been read, when one is there
 * twice in a page and the one before it, and when the pages name each other in a circle.
 * @throws MalformedBody for a page that is none; Unacceptable for one that does not say whether another follows.
 */
export function pagedReader<Item>(source: PagedSource<Item>): Reader<Item> {
  // The last page, since its items may be asked for a few at a time.
  let last: Located<Item> | undefined;
  /** The token of a page by that of the next one: two pages before the same one are a circle. */
  const before = new Map<string, string>();
  const fetchPage = async (token: string, signal: AbortSignal): Promise<Located<Item>> => {
    if (last?.token === token) return last;
    const { items, next } = whole(await source.page(token === '' ? null : token, { signal }), token);
    if (next && (next === token || (before.get(next) ?? token) !== token))
      throw new PagesMoved(
        `the pages go round in a circle: that of token ${token} names one that was before it.`,
      );
    if (next) before.set(next, token);
    const located = items.map((item, index) => locate(source, token, item, index));
    requireOnce([...(last?.next === token ? last.items : []), ...located]);
    last = { token, next: next ?? '', items: located };
    return last;
  };
  return {
    plan: async ({ signal }): Promise<ReadPlan> => {
      const expected = (await source.count?.({ signal })) ?? null;
      if (expected !== null && !(Number.isSafeInteger(expected) && expected >= 0))
        throw new Unacceptable('what the API counts of its items is no number of any; leave out `count`');
      return { ranges: [{ lower: null, upper: null }], expected, counted: expected !== null };
    },
    read: async ({ range, after, limit, bytes = Infinity, signal }) => {
      const from = after ?? range.lower;
      const found: ItemAt<Item>[] = [];
      let page = await fetchPage(from?.[0] ?? '', signal);
      found.push(...(from ? page.items.slice(placeAfter(page, from)) : page.items).slice(0, limit));
      // A page of the API is there as a whole in any case; no other is fetched where it is large.
      let held = bytesOf(found);
      while (found.length < limit && page.next !== '' && held < bytes) {
        page = await fetchPage(page.next, signal);
        const more = page.items.slice(0, limit - found.length);
        found.push(...more);
        held += bytesOf(more);
      }
      const end = found.at(-1);
      return {
        ...pageOf(found),
        ...(end && held >= bytes && found.length < limit ? { passed: end.cursor } : {}),
      };
    },
    readKeys: async ({ keys, signal }) => {
      const reads = [];
      for (const cursor of keys) {
        const { items } = await fetchPage(cursor[0] ?? '', signal);
        const found = items[placeOf(items, cursor)];
        reads.push(found && (found.error === undefined ? { item: found.item } : { error: found.error }));
      }
      return reads;
    },
  };
}

/**
 * A page as the API means it, whatever has become of its types on the way.
 *
 * @throws MalformedBody for one without a list, or whose next page has no name; Unacceptable for one that says nothing of a next
 *   page, as where the field is called otherwise: what follows would be left out.
 */
function whole<Item>(page: ApiPage<Item>, token: string): ApiPage<Item> {
  const { items, next } = page as { readonly items: unknown; readonly next: unknown };
  const where = token === '' ? 'the first page' : `the page of token ${token}`;
  if (!Array.isArray(items)) throw new MalformedBody(`${where} has no list of items`);
  const isName = typeof next === 'string' || (typeof next === 'number' && Number.isFinite(next));
  if (next === undefined)
    throw new Unacceptable(
      `${where} does not say which one is next: give \`next: null\` for the last one, and look whether the API calls it otherwise`,
    );
  if (!isName && next !== null)
    throw new MalformedBody(`what ${where} names as its next is neither a text nor a number`);
  return { items: page.items, next: isName ? String(next) : null };
}

/** A page, '' being the token of the first one, and the next one of the last. */
interface Located<Item> {
  readonly token: string;
  readonly next: string;
  readonly items: readonly ItemAt<Item>[];
}

interface ItemAt<Item> {
  readonly item: Item;
  readonly key: string;
  readonly cursor: Cursor;
  readonly error: unknown;
}

/** Of a page and the one before it: an API that counts from the beginning shows an item again when one was added before it. */
function requireOnce(items: readonly { readonly key: string }[]): void {
  const keys = new Set<string>();
  for (const { key } of items) {
    if (keys.has(key))
      throw new PagesMoved(
        `item ${key} is there twice, in one page or in two that follow each other: the pages moved while they were read, and one may have been left out; start a new run.`,
      );
    keys.add(key);
  }
}

function locate<Item>(source: PagedSource<Item>, token: string, item: Item, index: number): ItemAt<Item> {
  const at = (key: string, error?: unknown) => ({
    item,
    key,
    cursor: cursorOf([token, String(index), key]),
    error,
  });
  try {
    return at(source.keyOf(item));
  } catch (error) {
    return at(`${token}#${index}`, error);
  }
}

function placeAfter<Item>({ token, items }: Located<Item>, after: Cursor): number {
  const place = placeOf(items, after);
  if (place >= 0) return place + 1;
  throw new PagesMoved(
    `item ${after[2]} is no longer in its page (token ${token === '' ? 'none' : token}), so what follows it cannot be told; start a new run.`,
  );
}

/** Where a cursor's item is in its page: at its index, or wherever its key is; -1 when it is gone. */
function placeOf<Item>(items: readonly ItemAt<Item>[], [, index, key]: Cursor): number {
  return items[Number(index)]?.key === key ? Number(index) : items.findIndex((item) => item.key === key);
}

function pageOf<Item>(found: readonly ItemAt<Item>[]): ReadPage<Item> {
  const at = (index: number) => found[index] as ItemAt<Item>;
  return {
    items: found.map(({ item }) => item),
    cursorAt: (index) => at(index).cursor,
    keyAt: (index) => at(index).key,
    errorAt: (index) => at(index).error,
  };
}
