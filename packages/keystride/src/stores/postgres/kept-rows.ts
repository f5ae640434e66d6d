import pg from 'pg';
import { ToldError } from '../../contract/errors.ts';
import { quotedTable } from './key-columns.ts';
import { familyOf } from './table-shape.ts';
import type { Transaction } from './transaction.ts';

/** A table took a row without a word, and does not have it. */
export class RowNotKept extends ToldError {
  override readonly name = 'RowNotKept';
}

/** Rows as a statement has them in hand. */
interface GivenRows {
  readonly table: string;
  /** The columns that are written, each with what is written to it, as SQL over `given`. */
  readonly columns: Readonly<Record<string, string>>;
  /** Where the rows come from, as SQL: `unnest(…) AS given (…)`. */
  readonly from: string;
  readonly values: readonly unknown[];
}

/**
 * Requires of rows that `ON CONFLICT DO NOTHING` has not inserted that the table has them, by what was written of a unique
 * key. A key that the database gives itself may be there already, as of a sequence that is behind: then nothing says that
 * the row is not.
 *
 * A trigger may leave out what it wants to, and what an index on an expression, or on some of the rows, takes for equal
 * nobody can tell.
 *
 * @throws RowNotKept
 */
export async function requireThere(
  transaction: Transaction,
  { table, columns, from, values }: GivenRows,
): Promise<void> {
  const { rows: indexes } = await transaction.query<UniqueIndex>(uniqueIndexes, [quotedTable(table)]);
  if (indexes.some(({ whole }) => !whole)) return;
  const given = indexes.map((index) => index.columns.filter((name) => columns[name] !== undefined));
  const others = indexes.flatMap((index, place) => (given[place]?.length === 0 ? index.columns : []));
  if (others.length === 0) return;
  const lacking = given.filter((key) => key.length > 0).map((key) => lackingBy(table, columns, key));
  const { rowCount } = await transaction.query(
    `SELECT FROM ${from} WHERE ${['true', ...lacking].join(' AND ')} LIMIT 1`,
    [...values],
  );
  if (rowCount === 0) return;
  throw new RowNotKept(
    `${table} took a row that it does not have: what the database gives for ${[...new Set(others)].join(', ')} is there ` +
      'already. Where a sequence gives it, that is behind: SELECT setval(…)',
  );
}

function lackingBy(table: string, columns: GivenRows['columns'], key: readonly string[]): string {
  const same = key.map((name) => `there.${pg.escapeIdentifier(name)} = ${columns[name]}`);
  // What is null conflicts with nothing.
  const known = key.map((name) => `${columns[name]} IS NOT NULL`);
  return `(${known.join(' AND ')}) AND NOT EXISTS (SELECT FROM ${quotedTable(table)} AS there WHERE ${same.join(' AND ')})`;
}

interface UniqueIndex {
  readonly columns: readonly string[];
  /** Over whole columns of all rows, of a table that no trigger keeps rows from. */
  readonly whole: boolean;
}

const uniqueIndexes = `
  ${familyOf}
  SELECT array(SELECT attname::text FROM unnest(indkey::int2[]) WITH ORDINALITY AS part (attnum, place)
                 JOIN pg_attribute ON attrelid = indrelid AND pg_attribute.attnum = part.attnum
                WHERE place <= indnkeyatts) AS columns,
         indpred IS NULL AND indexprs IS NULL AND NOT indisexclusion
           AND NOT EXISTS (SELECT FROM pg_trigger JOIN family ON tgrelid = id
                            WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 7 = 7) AS whole
    FROM pg_index WHERE indrelid = to_regclass($1) AND (indisunique OR indisexclusion) AND indisready`;
