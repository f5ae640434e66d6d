import type pg from 'pg';
import { quotedTable } from './key-columns.ts';
import { areInOtherFiles, type Partitions, partitionsOf, remembered } from './partitions.ts';

/** What changes when all rows of a table are written anew, which no log tells of. */
export interface StoredRows {
  /** The file that they are in: TRUNCATE, VACUUM FULL and CLUSTER make another one too, and change no value. */
  readonly file: string | null;
  /** Who wrote the table's columns into the catalogue last: every `ALTER COLUMN` does. */
  readonly columns: string;
  /** Where the table is divided. */
  readonly partitions?: Partitions;
}

/**
 * Looks at tables, by their names.
 *
 * @param before what was remembered of them.
 */
export async function storedRows(
  pool: pg.Pool,
  tables: readonly string[],
  before: Readonly<Record<string, StoredRows>> = {},
): Promise<Readonly<Record<string, StoredRows>>> {
  const { rows } = await pool.query<StoredRows & { place: number }>(
    `SELECT place::int - 1 AS place, pg_relation_filenode(to_regclass(name))::text AS file,
            (SELECT coalesce(string_agg(attnum || ' ' || xmin, ',' ORDER BY attnum), '') FROM pg_attribute
              WHERE attrelid = to_regclass(name) AND attnum > 0 AND NOT attisdropped) AS columns
       FROM unnest($1::text[]) WITH ORDINALITY AS one (name, place)`,
    [tables.map(quotedTable)],
  );
  const found: Record<string, StoredRows> = {};
  for (const { place, ...stored } of rows) {
    const table = tables[place] ?? '';
    const partitions = await partitionsOf(pool, table);
    found[table] = partitions
      ? { ...stored, partitions: remembered(before[table]?.partitions, partitions) }
      : stored;
  }
  return found;
}

/**
 * Whether `ALTER COLUMN … TYPE … USING` may have changed values between two looks. It writes both the column and another
 * file, in one transaction. Whatever else does so takes two, and none of them changes a value.
 */
export function mayBeRewritten(before: StoredRows, now: StoredRows): boolean {
  if (before.columns === now.columns) return false;
  const isDivided = before.partitions !== undefined && now.partitions !== undefined;
  return isDivided ? areInOtherFiles(before.partitions, now.partitions) : before.file !== now.file;
}
