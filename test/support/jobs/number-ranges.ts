import { cursorOf, type RangeReader, type RowRange } from 'keystride';

/** Numbers that follow one another. */
export interface Numbers extends RowRange {
  readonly first: number;
}

/** The numbers below `count` as ranges: nothing but their ends is read. */
export function numberRanges(count: number): RangeReader<Numbers> {
  const last = cursorOf([String(count - 1)]);
  return {
    plan: () => Promise.resolve({ ranges: [{ lower: null, upper: last }], expected: count }),
    next: ({ after, limit }) => {
      const first = after === null ? 0 : Number(after[0]) + 1;
      const rows = Math.min(limit, count - first);
      const upper = cursorOf([String(first + rows - 1)]);
      return Promise.resolve(rows > 0 ? { first, upper, rows } : null);
    },
  };
}
