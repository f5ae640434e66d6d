import type pg from 'pg';
import { type SelectQueryBuilder, sql } from 'kysely';
import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import type { ReadPage, ReadPlan, ReadRequest, Reader } from '../../contract/reader.ts';
import { type KeyColumn, describeKey, inRange, keyAlias, keyOf, keyProblems } from './key-columns.ts';
import { planRanges } from './key-ranges.ts';
import { splitRange } from './key-split.ts';
import { readByKeys } from './read-by-keys.ts';

/** The rows of a table that a step is about. */
export interface KeyedRows<Database, Table extends keyof Database & string, Row> {
  readonly pool: pg.Pool;
  /** What to read of the table, without order or limit. */
  readonly query: SelectQueryBuilder<Database, Table, Row>;
  readonly table: Table;
  /** A unique, not nullable key of the table, in the order of an index. The last column is its primary key. */
  readonly key: readonly (keyof Database[Table] & string)[];
  /** Plans only keys above this one, exclusive: where an earlier run ended. */
  above?(): Promise<Cursor | null>;
  /** Called when the upper key is frozen and nothing is read yet. */
  onFrozen?(): Promise<void>;
}

export interface KeysetSource<Database, Table extends keyof Database & string, Row> extends KeyedRows<
  Database,
  Table,
  Row
> {
  /** What reads an item again that was skipped, where skipping it keeps `query` from matching it. @default query */
  readonly again?: SelectQueryBuilder<Database, Table, Row>;
}

/** A row as it is read: the columns asked for, and the key's columns as text beside them. */
type Keyed<Row> = Row & Record<string, string>;

/**
 * Reads a table in key order by `WHERE (key) > (last key) ORDER BY key LIMIT n`: as fast on the last page as on
 * the first, and safe when the job itself changes what the query matches.
 *
 * The upper end is frozen when the step opens: rows inserted above it later belong to another run. The key must
 * not be updated while the job runs.
 */
export function keysetReader<Database, Table extends keyof Database & string, Row>(
  source: KeysetSource<Database, Table, Row>,
): Reader<Row> {
  const keyColumns = describedOnce(source);
  return {
    plan: (request) => planRows(source, keyColumns, request),
    problems: () => keyProblems(source.pool, source.table, source.key),
    read: async (request) => readPage(source, await keyColumns(), request),
    split: async (request) => splitRange(source, await keyColumns(), request),
    readKeys: async ({ keys }) =>
      readByKeys(source.pool, source.again ?? source.query, await keyColumns(), keys),
  };
}

/** The key's columns, looked up when they are first asked for. */
export function describedOnce<Database, Table extends keyof Database & string, Row>({
  pool,
  table,
  key,
}: KeyedRows<Database, Table, Row>): () => Promise<readonly KeyColumn[]> {
  let columns: Promise<readonly KeyColumn[]> | undefined;
  return () => {
    columns ??= describeKey(pool, table, key).catch((error: unknown) => {
      // The next call asks again: the database may only have been away.
      columns = undefined;
      throw error;
    });
    return columns;
  };
}

/** Divides the keys of these rows among partitions. */
export async function planRows<Database, Table extends keyof Database & string, Row>(
  rows: KeyedRows<Database, Table, Row>,
  keyColumns: () => Promise<readonly KeyColumn[]>,
  { partitions }: { readonly partitions: number },
): Promise<ReadPlan> {
  const above = (await rows.above?.()) ?? null;
  return planRanges({ ...rows, columns: await keyColumns(), above, partitions });
}

async function readPage<Database, Table extends keyof Database & string, Row>(
  source: KeysetSource<Database, Table, Row>,
  columns: readonly KeyColumn[],
  { range, after, limit }: ReadRequest,
): Promise<ReadPage<Row>> {
  const texts = columns.map((column, index) => sql<string>`${column.reference}::text`.as(keyAlias(index)));
  const ordered = inRange(source.query, columns, { lower: after ?? range.lower, upper: range.upper })
    .select(texts)
    .orderBy(keyOf(columns))
    .limit(limit);
  const { sql: text, parameters } = ordered.compile();
  const { rows } = await source.pool.query<pg.QueryResultRow>(text, [...parameters]);
  return pageOf(rows as Keyed<Row>[], columns.length);
}

function pageOf<Row>(rows: Keyed<Row>[], width: number): ReadPage<Row> {
  const cursorAt = (index: number) => {
    const row = rows[index];
    return cursorOf(Array.from({ length: width }, (_, column) => row?.[keyAlias(column)] ?? ''));
  };
  return { items: rows, cursorAt, keyAt: (index) => cursorAt(index).join(',') };
}
