import type pg from 'pg';
import { type RawBuilder, type SelectQueryBuilder, sql } from 'kysely';
import type { Cursor, KeyRange } from '../../contract/cursor.ts';

/** A column of a key, as SQL. */
export interface KeyColumn {
  readonly name: string;
  /** The column, qualified by its table: an output column of the same name never takes its place. */
  readonly reference: RawBuilder<unknown>;
  /** Its type as PostgreSQL writes it, for `$1::type`. */
  readonly type: RawBuilder<unknown>;
}

/** A key that cannot order a job's pages. */
export class UnusableKey extends Error {
  override readonly name = 'UnusableKey';
}

/**
 * Looks a key's columns up in the catalogue.
 *
 * @throws UnusableKey for an unknown table or column, and for a nullable column: comparing with NULL is neither
 * true nor false, so its rows would silently be left out.
 */
export async function describeKey(
  pool: pg.Pool,
  table: string,
  key: readonly string[],
): Promise<readonly KeyColumn[]> {
  const { rows } = await pool.query<{ name: string; type: string; required: boolean }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS required
       FROM pg_attribute
      WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
    [table],
  );
  if (rows.length === 0)
    throw new UnusableKey(`table ${table} does not exist in this database; run keystride migrate.`);
  return key.map((name) => {
    const column = rows.find((row) => row.name === name);
    if (!column) throw new UnusableKey(`table ${table} has no column ${name} to page by.`);
    if (!column.required) {
      throw new UnusableKey(
        `column ${table}.${name} may be null, and rows with a null key would be left out; page by a column that is NOT NULL.`,
      );
    }
    return { name, reference: sql.ref(`${table}.${name}`), type: sql.raw(column.type) };
  });
}

/** Restricts a query to (lower, upper]. Row comparison follows the key's index, and its collation. */
export function inRange<Database, Table extends keyof Database & string, Row>(
  query: SelectQueryBuilder<Database, Table, Row>,
  columns: readonly KeyColumn[],
  { lower, upper }: KeyRange,
): SelectQueryBuilder<Database, Table, Row> {
  let ranged = query;
  if (lower) ranged = ranged.where(sql<boolean>`(${keyOf(columns)}) > (${valueOf(columns, lower)})`);
  if (upper) ranged = ranged.where(sql<boolean>`(${keyOf(columns)}) <= (${valueOf(columns, upper)})`);
  return ranged;
}

/** The columns of a key, as a list. */
export function keyOf(columns: readonly KeyColumn[]) {
  return sql.join(columns.map((column) => column.reference));
}

function valueOf(columns: readonly KeyColumn[], cursor: Cursor) {
  return sql.join(columns.map((column, index) => sql`${cursor[index]}::${column.type}`));
}
