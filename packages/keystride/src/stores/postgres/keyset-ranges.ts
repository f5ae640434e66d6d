import { type RawBuilder, type SqlBool, sql } from 'kysely';
import { cursorOf } from '../../contract/cursor.ts';
import type { RangeReader, ReadRequest, RowRange } from '../../contract/reader.ts';
import { boundedQuery } from './bounded-query.ts';
import { inRange, keyAlias, type KeyColumn, keyOf, within } from './key-columns.ts';
import { keyOrder } from './key-order.ts';
import { splitRange } from './key-split.ts';
import type { KeyedRows } from './keyed-rows.ts';
import { describedOnce, planRows, readerProblems } from './keyset-reader.ts';

/** A range of a table's key, for the statement of a set step. */
export interface KeysetRange extends RowRange {
  /** The condition that a row of the table is in it; the statement must name the table as it is, without an alias. */
  readonly within: RawBuilder<SqlBool>;
}

/**
 * Walks a table in key order without reading its rows: each range ends at the key of the row `limit` rows on. What
 * `keysetReader` promises of its pages holds for these ranges.
 */
export function keysetRanges<Database, Table extends keyof Database & string, Row>(
  source: KeyedRows<Database, Table, Row>,
): RangeReader<KeysetRange> {
  const keyColumns = describedOnce(source);
  return {
    plan: (request) => planRows(source, keyColumns, request),
    order: async () => keyOrder(source.pool, await keyColumns()),
    problems: async () => {
      await keyColumns();
      return readerProblems(source);
    },
    split: async (request) => splitRange(source, await keyColumns(), request),
    next: async (request) => nextRange(source, await keyColumns(), request),
  };
}

async function nextRange<Database, Table extends keyof Database & string, Row>(
  { pool, query }: KeyedRows<Database, Table, Row>,
  columns: readonly KeyColumn[],
  { range, after, limit, signal }: ReadRequest,
): Promise<KeysetRange | null> {
  const lower = after ?? range.lower;
  const page = inRange(query, columns, { lower, upper: range.upper })
    .clearSelect()
    .select(columns.map(({ reference }, index) => reference.as(keyAlias(index))))
    .orderBy(keyOf(columns))
    .limit(limit)
    .compile();
  const names = columns.map((_, index) => keyAlias(index));
  const { rows } = await boundedQuery<{ upper: string[]; rows: number }>(
    pool,
    `WITH page AS MATERIALIZED (${page.sql})
     SELECT array[${names.map((name) => `${name}::text`).join(', ')}] AS upper, (SELECT count(*)::int FROM page) AS rows
       FROM page ORDER BY ${names.map((name) => `${name} DESC`).join(', ')} LIMIT 1`,
    page.parameters,
    { signal },
  );
  const [last] = rows;
  if (!last) return null;
  const upper = cursorOf(last.upper);
  return {
    upper,
    rows: last.rows,
    last: last.rows < limit,
    within: sql`(${within(columns, { lower, upper })})`,
  };
}
