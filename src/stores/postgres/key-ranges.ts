import type pg from 'pg';
import { type Compilable, type SelectQueryBuilder, sql } from 'kysely';
import { type Cursor, cursorOf, type KeyRange } from '../../contract/cursor.ts';
import type { ReadPlan } from '../../contract/reader.ts';
import { type KeyColumn, inRange, keyOf } from './key-columns.ts';

interface RangeRequest<Database, Table extends keyof Database & string, Row> {
  readonly pool: pg.Pool;
  readonly query: SelectQueryBuilder<Database, Table, Row>;
  readonly table: Table;
  readonly columns: readonly KeyColumn[];
  readonly above: Cursor | null;
  readonly partitions: number;
  onFrozen?(): Promise<void>;
}

/** Below this many rows the query is counted; above, the planner's estimate serves. */
const countedUpTo = 200_000;

/**
 * Divides the keys that a query matches now into ranges of about as many rows each.
 *
 * The ranges are cut at keys that exist, by rank over the key's index; whatever those are, each range begins where
 * the one before ended, so their union has no gap and no overlap.
 */
export async function planRanges<Database, Table extends keyof Database & string, Row>(
  request: RangeRequest<Database, Table, Row>,
): Promise<ReadPlan> {
  const upper = await highestKey(request);
  await request.onFrozen?.();
  if (upper === null) return { ranges: [], expected: 0 };
  const bounded = inRange(request.query, request.columns, { lower: request.above, upper });
  const expected = await expectedRows(request.pool, bounded);
  const cuts = request.partitions > 1 ? await cutKeys(request, bounded, expected) : [];
  return { ranges: rangesBetween(request.above, cuts, upper), expected };
}

async function highestKey<Database, Table extends keyof Database & string, Row>({
  pool,
  query,
  columns,
  above,
}: RangeRequest<Database, Table, Row>): Promise<Cursor | null> {
  const ordered = inRange(query, columns, { lower: above, upper: null })
    .clearSelect()
    .select(keyTexts(columns).as('key'))
    .orderBy(sql.join(columns.map((column) => sql`${column.reference} desc`)))
    .limit(1);
  const [row] = await rowsOf<{ key: string[] }>(pool, ordered);
  return row ? cursorOf(row.key) : null;
}

async function expectedRows<Database, Table extends keyof Database & string, Row>(
  pool: pg.Pool,
  query: SelectQueryBuilder<Database, Table, Row>,
): Promise<number> {
  const { sql: text, parameters } = query.compile();
  const explained = await pool.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    `EXPLAIN (FORMAT JSON) ${text}`,
    [...parameters],
  );
  const estimate = explained.rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0;
  if (estimate > countedUpTo) return estimate;
  const limited = await pool.query<{ rows: string }>(
    `SELECT count(*) AS rows FROM (SELECT FROM (${text}) AS matched LIMIT ${countedUpTo + 1}) AS counted`,
    [...parameters],
  );
  const counted = Number(limited.rows[0]?.rows ?? 0);
  return counted > countedUpTo ? Math.max(counted, estimate) : counted;
}

/** The last key of each range but the last one. */
async function cutKeys<Database, Table extends keyof Database & string, Row>(
  { pool, columns, partitions }: RangeRequest<Database, Table, Row>,
  bounded: SelectQueryBuilder<Database, Table, Row>,
  expected: number,
): Promise<Cursor[]> {
  const size = Math.max(1, Math.ceil(expected / partitions));
  const ranked = bounded
    .clearSelect()
    .select([
      keyTexts(columns).as('key'),
      sql<string>`row_number() OVER (ORDER BY ${keyOf(columns)})`.as('rank'),
    ]);
  const { sql: text, parameters } = ranked.compile();
  const { rows } = await pool.query<{ key: string[] }>(
    `SELECT key FROM (${text}) AS ranked WHERE rank % ${size} = 0 ORDER BY rank LIMIT ${partitions - 1}`,
    [...parameters],
  );
  return rows.map((row) => cursorOf(row.key));
}

function rangesBetween(above: Cursor | null, cuts: readonly Cursor[], upper: Cursor): KeyRange[] {
  const inside = cuts.filter((cut) => JSON.stringify(cut) !== JSON.stringify(upper));
  return [...inside, upper].map((end, index) => ({
    lower: index === 0 ? above : (inside[index - 1] ?? null),
    upper: end,
  }));
}

function keyTexts(columns: readonly KeyColumn[]) {
  return sql<string[]>`array[${sql.join(columns.map((column) => sql`${column.reference}::text`))}]`;
}

async function rowsOf<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  query: Compilable<unknown>,
): Promise<Row[]> {
  const { sql: text, parameters } = query.compile();
  return (await pool.query<Row>(text, [...parameters])).rows;
}
