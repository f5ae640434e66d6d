import type pg from 'pg';
import type { Cursor } from '../../contract/cursor.ts';
import { failure } from '../../contract/errors.ts';
import type { ComparedPage, Comparison, Difference } from '../../contract/verification.ts';
import { byHalves } from './compare-by-halves.ts';
import { compareByKey, isOneSide, type PlaceByKey, rowAloneByKey } from './compare-by-key.ts';
import { compareByRange, rowAloneInRange } from './compare-by-range.ts';
import { sortAlike } from './compared-key.ts';
import { comparedSide, type ComparedRows } from './compared-side.ts';
import { growing } from './growing-pages.ts';
import { lookAgain, type SeenDifference } from './look-again.ts';
import { mayHideRows } from './row-security.ts';
import { isStandby } from './standby.ts';
import { answeredOnce } from '../../contract/answered-once.ts';

interface ComparisonOptions {
  /**
   * What the target has and the source has not: told, or ignored where the target keeps what has left the source. A
   * range with such rows is always compared row by row. @default 'told'
   */
  readonly extra?: 'told' | 'ignored';
  /** Ranges of the key that are compared at once, each over a connection of its own to either database. @default 4 */
  readonly atOnce?: number;
}

/** Two tables that are compared. */
export interface TableComparison extends Comparison {
  /**
   * Which keys of the target the source does not have, asked anew and by key. What the source takes for equal is there:
   * where it takes `A` for `a`, neither is lacking when it has one of them.
   */
  lacking(keys: readonly Cursor[], signal: AbortSignal): Promise<readonly Cursor[]>;
  /**
   * Looks at the rows of differences once more, by their keys.
   *
   * @returns those that still differ.
   */
  again(differences: readonly Difference[], signal: AbortSignal): Promise<readonly SeenDifference[]>;
  /** A source that is a standby may be behind what the target has. */
  unrepairable(): Promise<string | null>;
}

/**
 * Compares two tables by hashes that their databases make of rows, and names the keys that are missing, extra or
 * different.
 *
 * Where both keys sort alike for certain, both make a hash of each range of the key, and only ranges that differ are
 * looked into: a page is the next `limit` rows of the source, up to eight times as many while they are quick and nothing
 * differs, and whatever the target has between their keys. Elsewhere
 * (texts under a collation, and most other types) each side is read in its own order, and the other is asked by key: a
 * page is `limit` rows of one side, first of the target for what is extra, then of the source. Keys and hashes of all
 * rows leave the databases then.
 *
 * A row that makes a database fail differs, and is named; the others are compared. Where row security may hide rows of
 * the source from the role, what is extra is told and not to be removed.
 *
 * @throws Incomparable where hashes differ and no row does, and where row security may hide rows of the target.
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
  { extra = 'told', atOnce = 4 }: ComparisonOptions = {},
): TableComparison {
  const sides = {
    source: comparedSide(source),
    target: comparedSide(target),
    extra,
    atOnce: affordable(atOnce, [source.pool, target.pool]),
  };
  const isTranslated = sides.source.isTranslated || sides.target.isTranslated;
  const alike = answeredOnce(async () => {
    const [from, to] = await Promise.all([sides.source.columns(), sides.target.columns()]);
    return !isTranslated && sortAlike(from, to);
  });
  const inRanges = growing(
    byHalves<Cursor | null>({
      compare: (...page) => compareByRange(sides, ...page),
      mayFollow: (_, to) => to !== null,
      alone: (...row) => rowAloneInRange(sides, ...row),
    }),
    async () => (await sides.source.columns()).length,
  );
  const byKeys = byHalves<PlaceByKey>({
    compare: (...page) => compareByKey(sides, ...page),
    mayFollow: (from, to) => isOneSide(from, to, extra),
    alone: (...row) => rowAloneByKey(sides, ...row),
  });
  const shown = answeredOnce(() => requireShown(target));
  return {
    comparePage: async (...page) => {
      await shown();
      const found = await ((await alike()) ? inRanges(...page) : byKeys(...page));
      if (!found.differences.some(({ remove }) => remove)) return found;
      return (await mayHideRows(source.pool, source.table)) ? keepingExtra(found) : found;
    },
    again: (differences, signal) => lookAgain(sides, differences, signal),
    lacking: async (keys, signal) => {
      const found = new Set((await sides.source.find(keys, signal)).map(({ place }) => place));
      return keys.filter((_, index) => !found.has(index + 1));
    },
    unrepairable: async () => ((await isStandby(source.pool)) ? ofStandby : null),
  };
}

/**
 * No more than half of what either pool has: pages of runs take theirs from it too, and both sides may have one pool. What
 * is no real pool, as `rolledBackPool` gives it, says nothing of connections: it has one.
 */
function affordable(
  atOnce: number,
  pools: readonly { readonly options?: { readonly max?: number } }[],
): number {
  return Math.max(1, Math.min(atOnce, ...pools.map(({ options }) => Math.floor((options?.max ?? 0) / 2))));
}

const ofStandby =
  'the source is a standby, which may lack what the target has already: a repair would write older values over newer ' +
  'ones, and remove rows. Repair from its primary';

/** @throws Incomparable where row security may hide rows of the target: what is there, and should not be, would be seen by nobody. */
async function requireShown({
  pool,
  table,
}: {
  readonly pool: pg.Pool;
  readonly table: string;
}): Promise<void> {
  if (!(await mayHideRows(pool, table))) return;
  throw failure(
    'Incomparable',
    `row security may hide rows of the target ${table} from the role, and what it hides cannot be compared. ` +
      'Use a role with BYPASSRLS, or a policy for SELECT that lets all rows through',
  );
}

/** What the source is not seen to have may be hidden in it, and is not for a repair to remove. */
function keepingExtra({ differences, ...page }: ComparedPage): ComparedPage {
  const kept = differences.map(({ remove, ...difference }) =>
    remove
      ? { ...difference, told: `${difference.told}, if row security does not hide it in the source` }
      : difference,
  );
  return { ...page, differences: kept };
}
