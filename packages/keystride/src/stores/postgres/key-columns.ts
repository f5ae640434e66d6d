import type pg from 'pg';
import { type RawBuilder, type SelectQueryBuilder, sql, type SqlBool } from 'kysely';
import { ToldError } from '../../contract/errors.ts';
import type { Cursor, KeyRange } from '../../contract/cursor.ts';
import { columnIn, tableParts } from './sql.ts';

/** A column of a key, as SQL. */
export interface KeyColumn {
  readonly name: string;
  /** The column, qualified by its table: an output column of the same name never takes its place. */
  readonly reference: RawBuilder<unknown>;
  /** Its type as PostgreSQL writes it, for `$1::type`. */
  readonly type: RawBuilder<unknown>;
  /** The type once more, as text. */
  readonly typeName: string;
  /** ` COLLATE …` for a value that is to be compared as the column is; empty for a type without collation. */
  readonly collate: string;
  /** Its collation by name, as SQL; null for a type without one. */
  readonly collation: string | null;
  /** A value that it is compared with must be hidden from the planner: see `valueOf`. */
  readonly isChar: boolean;
}

/** A key that cannot order a job's pages. */
export class UnusableKey extends ToldError {
  override readonly name = 'UnusableKey';
}

interface Attribute {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly collation: string | null;
  /** Whether its type is `"char"`, or a domain over it. */
  readonly char: boolean;
  /** A NOT NULL constraint of it, of the table or of one below it, that old rows were never checked against. */
  readonly unchecked: string | null;
  /** Whether other tables inherit from this one. */
  readonly inherited: boolean;
}

/**
 * Looks a key's columns up in the catalogue.
 *
 * @throws UnusableKey for an unknown table or column; for a nullable column, one that is so in a partition alone or that
 * nobody has checked among them: comparing with NULL is neither true nor false, so its rows would silently be left out;
 * and for a table that others inherit from: no index tells whether they repeat its keys.
 */
export async function describeKey(
  pool: pg.Pool,
  table: string,
  key: readonly string[],
): Promise<readonly KeyColumn[]> {
  const { rows } = await pool.query<Attribute>(attributesQuery, [quotedTable(table)]);
  if (rows.length === 0)
    throw new UnusableKey(
      `table ${table} does not exist in this database. Make it, or see whether the project has been migrated there.`,
    );
  if (rows[0]?.inherited)
    throw new UnusableKey(
      `other tables inherit from ${table}, and a unique key of it holds in each of them alone: a key that two of them ` +
        'have would be left out. Make them partitions of a partitioned table, or page over each by itself.',
    );
  return key.map((name) => keyColumn(table, name, rows));
}

const attributesQuery = `
  WITH RECURSIVE family (id) AS (
    SELECT to_regclass($1)::oid
    UNION
    SELECT inhrelid FROM pg_inherits JOIN family ON inhparent = id
  )
  SELECT attname AS name, format_type(atttypid, atttypmod) AS type,
         quote_ident(nspname) || '.' || quote_ident(collname) AS collation,
         (WITH RECURSIVE base (id) AS (
            SELECT atttypid
            UNION
            SELECT typbasetype FROM pg_type JOIN base ON oid = id WHERE typtype = 'd'
          ) SELECT bool_or(id = '"char"'::regtype) FROM base) AS char,
         below.required, below.unchecked,
         relkind = 'r' AND (SELECT count(*) > 1 FROM family) AS inherited
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_collation ON pg_collation.oid = attcollation
    LEFT JOIN pg_namespace ON pg_namespace.oid = collnamespace
    CROSS JOIN LATERAL (
      SELECT bool_and(member.attnotnull AND conname IS NULL) AS required,
             min(format('%s of %s', conname, conrelid::regclass)) FILTER (WHERE conname IS NOT NULL) AS unchecked
        FROM family
        JOIN pg_attribute AS member ON member.attrelid = id AND member.attname = pg_attribute.attname
        LEFT JOIN pg_constraint ON conrelid = id AND contype = 'n' AND NOT convalidated
                               AND conkey = ARRAY[member.attnum]) AS below
   WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`;

function keyColumn(table: string, name: string, attributes: readonly Attribute[]): KeyColumn {
  const column = attributes.find((attribute) => attribute.name === name);
  if (!column) throw new UnusableKey(`table ${table} has no column ${name} to page by.`);
  if (column.unchecked !== null) {
    throw new UnusableKey(
      `column ${table}.${name} is NOT NULL by the constraint ${column.unchecked}, which is NOT VALID: old rows may have a ` +
        'null key, and would be left out. Check them: ALTER TABLE … VALIDATE CONSTRAINT …',
    );
  }
  if (!column.required) {
    throw new UnusableKey(
      `column ${table}.${name} may be null, and rows with a null key would be left out; page by a column that is NOT NULL.`,
    );
  }
  return {
    name,
    reference: columnIn(table, name),
    type: sql.raw(column.type),
    typeName: column.type,
    collate: column.collation === null ? '' : ` COLLATE ${column.collation}`,
    collation: column.collation,
    isChar: column.char,
  };
}

/**
 * Whether an index has the key's columns, in their order: without one each page sorts the table. Others may come first,
 * since a query that fixes them (`WHERE day = …`) reads such an index in the order of the key.
 */
export async function keyProblems(
  pool: pg.Pool,
  table: string,
  key: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await pool.query<{ indexed: boolean }>(
    `SELECT EXISTS (
       SELECT FROM pg_index, generate_series(0, indnkeyatts - cardinality($2::text[])) AS before
        WHERE indrelid = to_regclass($1) AND indisvalid
          AND $2::text[] = (SELECT array_agg(attname::text ORDER BY place)
                              FROM unnest(indkey::int2[]) WITH ORDINALITY AS part (attnum, place)
                              JOIN pg_attribute USING (attnum)
                             WHERE attrelid = indrelid AND place > before
                                AND place <= before + cardinality($2::text[]))
     ) AS indexed`,
    [quotedTable(table), key],
  );
  if (rows[0]?.indexed) return [];
  const columns = key.join(', ');
  return [
    `no index of ${table} has the columns (${columns}) in this order: each page sorts the table. Create one: CREATE INDEX CONCURRENTLY ON ${table} (${columns})`,
  ];
}

/** A table's name, `schema.table` or `table`, as `to_regclass` and a FROM clause take it. */
export function quotedTable(table: string): string {
  const quoted = (part: string) => `"${part.replaceAll('"', '""')}"`;
  return tableParts(table).map(quoted).join('.');
}

/** Restricts a query to (lower, upper]. */
export function inRange<Database, Table extends keyof Database & string, Row>(
  query: SelectQueryBuilder<Database, Table, Row>,
  columns: readonly KeyColumn[],
  range: KeyRange,
): SelectQueryBuilder<Database, Table, Row> {
  return query.where(within(columns, range));
}

/** Whether a row's key is in (lower, upper]. Row comparison follows the key's index, and its collation. */
export function within(columns: readonly KeyColumn[], { lower, upper }: KeyRange): RawBuilder<SqlBool> {
  const bounds = [
    ...(lower ? [sql`(${keyOf(columns)}) > (${valueOf(columns, lower)})`] : []),
    ...(upper ? [sql`(${keyOf(columns)}) <= (${valueOf(columns, upper)})`] : []),
  ];
  return bounds.length > 0 ? sql<SqlBool>`${sql.join(bounds, sql` AND `)}` : sql<SqlBool>`true`;
}

/** The columns of a key, as a list. */
export function keyOf(columns: readonly KeyColumn[]) {
  return sql.join(columns.map((column) => column.reference));
}

/** The alias of key column `index` in a query of ours; no column of a user's is called so. */
export function keyAlias(index: number): string {
  return `keystride_key_${index}`;
}

/**
 * From a histogram of `"char"` PostgreSQL 18 cannot estimate how many rows are below a value that it knows ("cache lookup
 * failed for collation 0"), and so plans nothing once the table has been analysed. One that it comes to know later only has
 * the usual guess.
 */
function valueOf(columns: readonly KeyColumn[], cursor: Cursor) {
  const texts = columns.map((column, index) => sql`${cursor[index]}::${column.type}`);
  return sql.join(texts.map((text, index) => (columns[index]?.isChar ? sql`(select ${text})` : text)));
}
