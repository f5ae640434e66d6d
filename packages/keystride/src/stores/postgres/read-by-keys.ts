import type pg from 'pg';
import { type SelectQueryBuilder, sql } from 'kysely';
import type { Cursor } from '../../contract/cursor.ts';
import type { ItemRead } from '../../contract/reader.ts';
import { boundedQuery } from './bounded-query.ts';
import { type KeyColumn, keyAlias, keyOf, UnusableKey } from './key-columns.ts';
import { namedTables } from './sql.ts';

/**
 * Reads the rows of a query that have these keys, in the order of the keys.
 *
 * Keys are compared by the database, as values: it may render them in other words than when they were written down
 * (under another time zone, say).
 *
 * @returns undefined for a key whose row is no longer there.
 */
export async function readByKeys<Database, Table extends keyof Database & string, Row>(
  pool: pg.Pool,
  query: SelectQueryBuilder<Database, Table, Row>,
  columns: readonly KeyColumn[],
  keys: readonly Cursor[],
  signal?: AbortSignal,
): Promise<readonly (ItemRead<Row> | undefined)[]> {
  if (keys.some((key) => key.length !== columns.length)) {
    const names = columns.map(({ name }) => name).join(', ');
    throw new UnusableKey(
      `a key that was written down is not one of (${names}); has the key of the reader changed?`,
    );
  }
  const [rows, wanted] = await Promise.all([
    readRows(pool, query, columns, keys, signal),
    renderedNow(pool, columns, keys),
  ]);
  const byKey = new Map(
    rows.map((row) => [JSON.stringify(columns.map((_, index) => row[keyAlias(index)])), row as Row]),
  );
  return wanted.map((key) => {
    const item = byKey.get(JSON.stringify(key));
    return item === undefined ? undefined : { item };
  });
}

async function readRows<Database, Table extends keyof Database & string, Row>(
  pool: pg.Pool,
  query: SelectQueryBuilder<Database, Table, Row>,
  columns: readonly KeyColumn[],
  keys: readonly Cursor[],
  signal: AbortSignal | undefined,
): Promise<Record<string, unknown>[]> {
  const values = sql.join(columns.map((column, index) => valueOf(column, index)));
  const texts = columns.map((column, index) => sql<string>`${column.reference}::text`.as(keyAlias(index)));
  const { sql: text, parameters } = query
    .where(
      sql<boolean>`(${keyOf(columns)}) in (select ${values} from unnest(${arraysOf(columns, keys)})
      as keystride_wanted (${namesOf(columns)}))`,
    )
    .select(texts)
    .compile();
  return (await boundedQuery<Record<string, unknown>>(pool, text, parameters, { signal })).rows;
}

/** The keys as the database renders them now, in their order. */
async function renderedNow(
  pool: pg.Pool,
  columns: readonly KeyColumn[],
  keys: readonly Cursor[],
): Promise<readonly (readonly string[])[]> {
  const texts = sql.join(columns.map((column, index) => sql`${valueOf(column, index)}::text`));
  const query = sql`select array[${texts}] as key from unnest(${arraysOf(columns, keys)})
    with ordinality as keystride_wanted (${namesOf(columns)}, place) order by place`;
  const { sql: text, parameters } = query.compile(namedTables);
  const { rows } = await pool.query<{ key: string[] }>(text, [...parameters]);
  return rows.map(({ key }) => key);
}

function valueOf(column: KeyColumn, index: number) {
  return sql`${sql.ref(`keystride_wanted.${keyAlias(index)}`)}::${column.type}`;
}

function namesOf(columns: readonly KeyColumn[]) {
  return sql.join(columns.map((_, index) => sql.ref(keyAlias(index))));
}

/** One array of texts a key column: the number of keys is not bounded by the parameters of a statement. */
function arraysOf(columns: readonly KeyColumn[], keys: readonly Cursor[]) {
  return sql.join(columns.map((_, index) => sql`${keys.map((key) => key[index])}::text[]`));
}
