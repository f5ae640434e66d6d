import type pg from 'pg';
import { quotedTable } from './key-columns.ts';

/** What changes when all rows of a table are written anew, which no log tells of. */
export interface StoredRows {
  /** The file that they are in: TRUNCATE, VACUUM FULL and CLUSTER make another one too, and change no value. */
  readonly file: string | null;
  /** Who wrote the table's columns into the catalogue last: every `ALTER COLUMN` does. */
  readonly columns: string;
}

/** Looks at tables, by their names. */
export async function storedRows(
  pool: pg.Pool,
  tables: readonly string[],
): Promise<Readonly<Record<string, StoredRows>>> {
  const { rows } = await pool.query<StoredRows & { place: number }>(
    `SELECT place::int - 1 AS place, pg_relation_filenode(to_regclass(name))::text AS file,
            (SELECT coalesce(string_agg(attnum || ' ' || xmin, ',' ORDER BY attnum), '') FROM pg_attribute
              WHERE attrelid = to_regclass(name) AND attnum > 0 AND NOT attisdropped) AS columns
       FROM unnest($1::text[]) WITH ORDINALITY AS one (name, place)`,
    [tables.map(quotedTable)],
  );
  return Object.fromEntries(rows.map(({ place, ...stored }) => [tables[place] ?? '', stored]));
}

/**
 * Whether `ALTER COLUMN … TYPE … USING` may have changed values between two looks. It writes both the column and another
 * file, in one transaction. Whatever else does so takes two, and none of them changes a value.
 */
export function mayBeRewritten(before: StoredRows, now: StoredRows): boolean {
  return before.file !== now.file && before.columns !== now.columns;
}
