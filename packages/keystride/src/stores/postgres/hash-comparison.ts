import type { Cursor } from '../../contract/cursor.ts';
import type { Comparison } from '../../contract/verification.ts';
import { compareByKey, type PlaceByKey } from './compare-by-key.ts';
import { compareByRange } from './compare-by-range.ts';
import { sortAlike } from './compared-key.ts';
import { comparedSide, type ComparedRows } from './compared-side.ts';
import { answeredOnce } from '../../contract/answered-once.ts';

interface ComparisonOptions {
  /**
   * What the target has and the source has not: told, or ignored where the target keeps what has left the source. A
   * range with such rows is always compared row by row. @default 'told'
   */
  readonly extra?: 'told' | 'ignored';
}

/** Two tables that are compared. */
export interface TableComparison extends Comparison {
  /**
   * Which keys of the target the source does not have, asked anew and by key. What the source takes for equal is there:
   * where it takes `A` for `a`, neither is lacking when it has one of them.
   */
  lacking(keys: readonly Cursor[], signal: AbortSignal): Promise<readonly Cursor[]>;
}

/**
 * Compares two tables by hashes that their databases make of rows, and names the keys that are missing, extra or
 * different.
 *
 * Where both keys sort alike for certain, both make a hash of each range of the key, and only ranges that differ are
 * looked into: a page is the next `limit` rows of the source, and whatever the target has between their keys. Elsewhere
 * (texts under a collation, and most other types) each side is read in its own order, and the other is asked by key: a
 * page is `limit` rows of one side, first of the target for what is extra, then of the source. Keys and hashes of all
 * rows leave the databases then.
 *
 * @throws Incomparable where hashes differ and no row does.
 */
export function hashComparison<
  SourceDatabase,
  SourceTable extends keyof SourceDatabase & string,
  SourceRow,
  TargetDatabase,
  TargetTable extends keyof TargetDatabase & string,
  TargetRow,
>(
  source: ComparedRows<SourceDatabase, SourceTable, SourceRow>,
  target: ComparedRows<TargetDatabase, TargetTable, TargetRow>,
  { extra = 'told' }: ComparisonOptions = {},
): TableComparison {
  const sides = { source: comparedSide(source), target: comparedSide(target), extra };
  const isTranslated = sides.source.isTranslated || sides.target.isTranslated;
  const alike = answeredOnce(async () => {
    const [from, to] = await Promise.all([sides.source.columns(), sides.target.columns()]);
    return !isTranslated && sortAlike(from, to);
  });
  return {
    comparePage: async (position, limit, signal) =>
      (await alike())
        ? compareByRange(sides, position as Cursor | null, limit, signal)
        : compareByKey(sides, position as PlaceByKey, limit, signal),
    lacking: async (keys, signal) => {
      const found = new Set((await sides.source.find(keys, signal)).map(({ place }) => place));
      return keys.filter((_, index) => !found.has(index + 1));
    },
  };
}
