import type { RangeSplit, SplitRequest } from '../../contract/reader.ts';
import { inRange, type KeyColumn } from './key-columns.ts';
import { rankedCuts, sampledCuts } from './key-cuts.ts';
import { expectedRows, rankedUpTo } from './key-ranges.ts';
import type { KeyedRows } from './keyed-rows.ts';
import { tableFigures } from './table-figures.ts';

/**
 * Finds the middle of what is left of a range: by rank where few rows are left, else by a sample.
 *
 * The planner's histogram is not asked: where a range turned out to be too long, it was often the histogram that had
 * said otherwise, and its bounds need not be keys of rows that the query matches.
 */
export async function splitRange<Database, Table extends keyof Database & string, Row>(
  rows: KeyedRows<Database, Table, Row>,
  columns: readonly KeyColumn[],
  { range, after, fewest, signal }: SplitRequest,
): Promise<RangeSplit | null> {
  const { pool, query, table } = rows;
  const bounded = inRange(query, columns, { lower: after ?? range.lower, upper: range.upper });
  const { rows: expected, exact } = await expectedRows(pool, bounded, signal);
  if (expected < Math.max(2, fewest)) return null;
  const cutting = { pool, table, columns, bounded, expected, partitions: 2, signal };
  const sampled =
    exact && expected <= rankedUpTo
      ? undefined
      : await sampledCuts({ ...cutting, figures: await tableFigures(pool, table) });
  const [at] = sampled ?? (await rankedCuts(cutting));
  return at ? { at, items: expected } : null;
}
