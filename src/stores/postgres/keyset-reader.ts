import type pg from 'pg';
import { type SelectQueryBuilder, sql } from 'kysely';
import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import type { ReadPage, ReadPlan, ReadRequest, Reader } from '../../contract/reader.ts';
import { type KeyColumn, describeKey, inRange, keyAlias, keyOf } from './key-columns.ts';
import { planRanges } from './key-ranges.ts';
import { readByKeys } from './read-by-keys.ts';

export interface KeysetSource<Database, Table extends keyof Database & string, Row> {
  readonly pool: pg.Pool;
  /** What to read of the table, without order or limit. */
  readonly query: SelectQueryBuilder<Database, Table, Row>;
  /** What reads an item again that was skipped, where skipping it keeps `query` from matching it. @default query */
  readonly again?: SelectQueryBuilder<Database, Table, Row>;
  readonly table: Table;
  /** A unique, not nullable key of the table, in the order of an index. The last column is its primary key. */
  readonly key: readonly (keyof Database[Table] & string)[];
  /** Plans only keys above this one, exclusive: where an earlier run ended. */
  above?(): Promise<Cursor | null>;
  /** Called when the upper key is frozen and nothing is read yet. */
  onFrozen?(): Promise<void>;
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
  let columns: Promise<readonly KeyColumn[]> | undefined;
  const keyColumns = () => {
    columns ??= describeKey(source.pool, source.table, source.key).catch((error: unknown) => {
      // The next call asks again: the database may only have been away.
      columns = undefined;
      throw error;
    });
    return columns;
  };
  return {
    plan: async ({ partitions }): Promise<ReadPlan> => {
      const above = (await source.above?.()) ?? null;
      return planRanges({ ...source, columns: await keyColumns(), above, partitions });
    },
    read: async (request) => readPage(source, await keyColumns(), request),
    readKeys: async ({ keys }) =>
      readByKeys(source.pool, source.again ?? source.query, await keyColumns(), keys),
  };
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
