import type pg from 'pg';
import { type SelectQueryBuilder, sql } from 'kysely';
import { type Cursor, cursorOf, type KeyRange } from '../../contract/cursor.ts';
import type { ReadPlan } from '../../contract/reader.ts';
import { boundedQuery } from './bounded-query.ts';
import { cutKeys, rankedCuts } from './key-cuts.ts';
import { type KeyColumn, inRange } from './key-columns.ts';
import { estimate, tableFigures } from './table-figures.ts';

interface RangeRequest<Database, Table extends keyof Database & string, Row> {
  readonly pool: pg.Pool;
  readonly query: SelectQueryBuilder<Database, Table, Row>;
  readonly table: Table;
  readonly columns: readonly KeyColumn[];
  readonly above: Cursor | null;
  readonly partitions: number;
  readonly signal?: AbortSignal | undefined;
  onFrozen?(): Promise<void>;
}

/** Below this many rows the query is counted; above, the planner's estimate serves. */
const countedUpTo = 200_000;

/** A count that the planner puts above this cost takes longer than a plan may: half a second, about. */
const countedUpToCost = 50_000;

/** Up to so many rows are cut by rank, exactly. */
export const rankedUpTo = 20_000;

/**
 * Divides the keys that a query matches now into ranges of about as many rows each.
 *
 * A large table is planned without being read: see `cutKeys`. Whatever the cuts are, each range begins where the one
 * before ended, so their union has no gap and no overlap.
 *
 * @returns at most `partitions` ranges; none when the query matches nothing above `above`. Its `expected` is exact
 * for what is counted quickly, else the planner's estimate.
 */
export async function planRanges<Database, Table extends keyof Database & string, Row>(
  request: RangeRequest<Database, Table, Row>,
): Promise<ReadPlan> {
  const { pool, columns, above, partitions, signal } = request;
  const upper = await highestKey(request);
  await request.onFrozen?.();
  if (upper === null) return { ranges: [], expected: 0 };
  const bounded = inRange(request.query, columns, { lower: above, upper });
  const { rows: expected, exact } = await expectedRows(pool, bounded, signal);
  const apart = above !== null;
  if (partitions < 2) return { ranges: rangesBetween(above, [], upper), expected, counted: exact, apart };
  const cuts =
    exact && expected <= rankedUpTo
      ? await rankedCuts({ pool, columns, bounded, partitions, signal })
      : await cutKeys({
          ...request,
          bounded,
          upper,
          expected,
          figures: await tableFigures(pool, request.table),
        });
  return { ranges: rangesBetween(above, cuts, upper), expected, counted: exact, apart };
}

async function highestKey<Database, Table extends keyof Database & string, Row>({
  pool,
  query,
  columns,
  above,
  signal,
}: RangeRequest<Database, Table, Row>): Promise<Cursor | null> {
  const texts = sql.join(columns.map(({ reference }) => sql`${reference}::text`));
  const ordered = inRange(query, columns, { lower: above, upper: null })
    .clearSelect()
    .select(sql<string[]>`array[${texts}]`.as('key'))
    .orderBy(sql.join(columns.map(({ reference }) => sql`${reference} desc`)))
    .limit(1);
  const { sql: text, parameters } = ordered.compile();
  const { rows } = await boundedQuery<{ key: string[] }>(pool, text, parameters, { signal });
  return rows[0] ? cursorOf(rows[0].key) : null;
}

/** Rows that a query matches: counted where that is quick, else by the planner's estimate. */
export async function expectedRows<Database, Table extends keyof Database & string, Row>(
  pool: pg.Pool,
  query: SelectQueryBuilder<Database, Table, Row>,
  signal?: AbortSignal,
): Promise<{ readonly rows: number; readonly exact: boolean }> {
  const { sql: text, parameters } = query.compile();
  const estimated = await estimate(pool, text, parameters);
  if (estimated.rows > countedUpTo || estimated.cost > countedUpToCost)
    return { rows: estimated.rows, exact: false };
  const limited = await boundedQuery<{ rows: string }>(
    pool,
    `SELECT count(*) AS rows FROM (SELECT FROM (${text}) AS matched LIMIT ${countedUpTo + 1}) AS counted`,
    parameters,
    { signal },
  );
  const counted = Number(limited.rows[0]?.rows ?? 0);
  return counted > countedUpTo
    ? { rows: Math.max(counted, estimated.rows), exact: false }
    : { rows: counted, exact: true };
}

function rangesBetween(above: Cursor | null, cuts: readonly Cursor[], upper: Cursor): KeyRange[] {
  return [...cuts, upper].map((end, index) => ({
    lower: index === 0 ? above : (cuts[index - 1] ?? null),
    upper: end,
  }));
}
