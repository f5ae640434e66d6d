import type pg from 'pg';
import { quotedTable, UnusableKey } from './key-columns.ts';

interface UniqueIndex {
  readonly columns: readonly string[];
}

/**
 * Unique indexes over whole columns of all rows, whose columns are never null and are checked at each statement. Pages
 * follow the collation of the column: where that takes texts for one which the index tells apart, the index is of no use.
 */
const uniqueIndexes = `
  SELECT array_agg(attname::text ORDER BY place) AS columns
    FROM pg_index
    CROSS JOIN unnest(indkey::int2[]) WITH ORDINALITY AS part (attnum, place)
    JOIN pg_attribute ON attrelid = indrelid AND pg_attribute.attnum = part.attnum
    LEFT JOIN pg_collation ON pg_collation.oid = attcollation
   WHERE indrelid = to_regclass($1) AND place <= indnkeyatts
     AND indisunique AND indisvalid AND indpred IS NULL AND indexprs IS NULL AND indimmediate
   GROUP BY indexrelid
  HAVING bool_and(attnotnull AND (coalesce(collisdeterministic, true) OR indcollation[place - 1] = attcollation))`;

/**
 * Looks whether a key tells the rows of a table apart: it has all columns of a unique index, but for those that the query
 * fixes to one value. A page ends between two keys, and of rows with equal ones those behind the border would be lost.
 *
 * @throws UnusableKey
 */
export async function requireUniqueKey(
  pool: pg.Pool,
  table: string,
  key: readonly string[],
  fixed: readonly string[] = [],
): Promise<void> {
  const { rows } = await pool.query<UniqueIndex>(uniqueIndexes, [quotedTable(table)]);
  if (rows.some(({ columns }) => columns.every((column) => key.includes(column) || fixed.includes(column))))
    return;
  if (await isForeign(pool, table))
    throw new UnusableKey(
      `${table} is a foreign table: nothing here says which key of it is unique, nor how its server sorts it. Read it where it ` +
        'is, by a pool of its own database.',
    );
  const known = rows.map(({ columns }) => `(${columns.join(', ')})`);
  throw new UnusableKey(
    `the key (${key.join(', ')}) does not tell the rows of ${table} apart: ${
      known.length > 0
        ? `unique are ${known.join(', ')}`
        : 'it has no unique index over NOT NULL columns that is valid, not partial and not deferrable'
    }. Rows with equal keys would be lost between two pages; add a unique column to the end of the key.`,
  );
}

async function isForeign(pool: pg.Pool, table: string): Promise<boolean> {
  const { rowCount } = await pool.query('SELECT FROM pg_foreign_table WHERE ftrelid = to_regclass($1)', [
    quotedTable(table),
  ]);
  return rowCount === 1;
}
