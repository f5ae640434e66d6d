import type pg from 'pg';
import { type SelectQueryBuilder, sql } from 'kysely';
import type { Cursor } from '../../contract/cursor.ts';
import type { ItemRead } from '../../contract/reader.ts';
import { boundedQuery } from './bounded-query.ts';
import { type KeyColumn, keyAlias, keyOf, UnusableKey } from './key-columns.ts';

/**
 * Reads the rows of a query that have these keys, in the order of the keys.
 *
 * Keys are compared by the database, as values: it may render them in other words than when they were written down
 * (under another time zone, say), and a row may have got its key written otherwise since.
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
  const found = new Map<number, ItemRead<Row>>();
  for (const { [placeAlias]: place, ...row } of await readRows(pool, query, columns, keys, signal))
    found.set(Number(place) - 1, { item: row as Row });
  return keys.map((_, index) => found.get(index));
}

/** The place of a row's key among those that are wanted. */
const placeAlias = 'keystride_place';

async function readRows<Database, Table extends keyof Database & string, Row>(
  pool: pg.Pool,
  query: SelectQueryBuilder<Database, Table, Row>,
  columns: readonly KeyColumn[],
  keys: readonly Cursor[],
  signal: AbortSignal | undefined,
): Promise<Record<string, unknown>[]> {
  const values = sql.join(columns.map((column, index) => valueOf(column, index)));
  const texts = columns.map((column, index) => sql<string>`${column.reference}::text`.as(keyAlias(index)));
  const place = sql.ref(`keystride_wanted.${placeAlias}`);
  const wanted = sql`unnest(${arraysOf(columns, keys)}) with ordinality`.as<'keystride_wanted'>(
    sql`keystride_wanted (${namesOf(columns)}, ${sql.ref(placeAlias)})`,
  );
  const { sql: text, parameters } = query
    // A condition of its own: that of a join sees no table but the last of several that a query names.
    .crossJoin(wanted as never)
    .where(sql<boolean>`(${keyOf(columns)}) = (${values})`)
    .select([...texts, place.as(placeAlias)] as never)
    .compile();
  return (await boundedQuery<Record<string, unknown>>(pool, text, parameters, { signal })).rows;
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
