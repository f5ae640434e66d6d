import { cursorOf } from '../../contract/cursor.ts';
import type { ItemRead, ReadPage, ReadPlan, Reader } from '../../contract/reader.ts';

/**
 * Reads a list that is known when the job starts, or that a function makes item by item: the key of an item is its
 * index. The same index must always give the same item.
 *
 * @param count items in the list.
 * @param itemAt the item at an index; an error that it throws is the failed read of that item alone.
 */
export function listReader<Item>(count: number, itemAt: (index: number) => Item): Reader<Item> {
  return {
    plan: ({ partitions }) => Promise.resolve(planList(count, partitions)),
    read: ({ range, after, limit }) => {
      const first = Number((after ?? range.lower)?.[0] ?? -1) + 1;
      const end = Math.min(Number(range.upper?.[0] ?? count - 1) + 1, first + limit);
      return Promise.resolve(pageOf(first, end, itemAt));
    },
    readKeys: ({ keys }) =>
      Promise.resolve(
        keys.map(([index]) => (Number(index) < count ? readItem(Number(index), itemAt) : undefined)),
      ),
  };
}

function planList(count: number, partitions: number): ReadPlan {
  const size = Math.max(1, Math.ceil(count / partitions));
  const ranges = Array.from({ length: Math.ceil(count / size) }, (_, index) => ({
    lower: index === 0 ? null : cursorOf([String(index * size - 1)]),
    upper: cursorOf([String(Math.min(count, (index + 1) * size) - 1)]),
  }));
  return { ranges, expected: count };
}

function readItem<Item>(index: number, itemAt: (index: number) => Item): ItemRead<Item> {
  try {
    return { item: itemAt(index) };
  } catch (error) {
    return { error };
  }
}

function pageOf<Item>(first: number, end: number, itemAt: (index: number) => Item): ReadPage<Item> {
  const items: Item[] = [];
  const errors = new Map<number, unknown>();
  for (let index = first; index < end; index++) {
    try {
      items.push(itemAt(index));
    } catch (error) {
      errors.set(index - first, error);
      // Keeps the places of the others; whoever reads asks for its error first.
      items.push(undefined as Item);
    }
  }
  return {
    items,
    cursorAt: (index) => cursorOf([String(first + index)]),
    keyAt: (index) => String(first + index),
    errorAt: (index) => errors.get(index),
  };
}
