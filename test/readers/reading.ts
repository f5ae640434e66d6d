import {
  type Cursor,
  decodeCursor,
  encodeCursor,
  type KeyRange,
} from '../../packages/keystride/src/contract/cursor.ts';
import type { Reader } from '../../packages/keystride/src/contract/reader.ts';

const signal = new AbortController().signal;

/** What one item became: itself, or the error of reading it. */
export interface Read<Item> {
  readonly item: Item;
  readonly error: unknown;
  readonly key: string;
  readonly cursor: Cursor;
}

/** Reads a range from a cursor to its end by pages of a size, as page activities do. */
export async function readRange<Item>(
  reader: Reader<Item>,
  range: KeyRange,
  limit: number,
  from: Cursor | null = null,
): Promise<Read<Item>[]> {
  const found: Read<Item>[] = [];
  for (let after = from; ;) {
    const page = await reader.read({ range: travelled(range), after, limit, signal });
    for (const [index, item] of page.items.entries()) {
      const cursor = page.cursorAt(index);
      found.push({ item, error: page.errorAt?.(index), key: page.keyAt(index), cursor });
    }
    if (page.items.length > limit)
      throw new Error(`${page.items.length} items where ${limit} were asked for`);
    if (page.items.length < limit) return found;
    after = asTheLedgerGivesIt(page.cursorAt(limit - 1));
  }
}

/** Plans, and reads every range to its end. A reader is made for each range, as another worker would. */
export async function readAll<Item>(
  make: () => Reader<Item>,
  limit: number,
  partitions = 1,
): Promise<Read<Item>[]> {
  const { ranges } = await make().plan({ partitions, signal });
  const found: Read<Item>[] = [];
  for (const range of ranges) found.push(...(await readRange(make(), range, limit)));
  return found;
}

function travelled({ lower, upper }: KeyRange): KeyRange {
  return { lower: asTheLedgerGivesIt(lower), upper: asTheLedgerGivesIt(upper) };
}

/** A cursor travels through the ledger as text. */
function asTheLedgerGivesIt(cursor: Cursor | null): Cursor | null {
  return decodeCursor(encodeCursor(cursor));
}
