import type pg from 'pg';
import { sql } from 'kysely';
import { describeKey, type KeyColumn, quotedTable } from './key-columns.ts';

/** A column of a key that rows are compared by. */
export interface ComparedKeyColumn extends KeyColumn {
  /** Its type below all domains, without a length that would cut or pad what is looked up. */
  readonly base: string;
  /** Its order, if databases have it in common; undefined where that depends on how they are set up. */
  readonly order: 'number' | 'uuid' | 'bytes' | undefined;
}

interface Ordering {
  readonly name: string;
  readonly base: string;
  readonly bytewise: boolean;
}

/** The type of a `pg_attribute` below all domains, as `id` and `typmod`. */
export const belowDomains = `
  WITH RECURSIVE below (id, typmod) AS (
    SELECT atttypid, atttypmod
    UNION ALL
    SELECT typbasetype, typtypmod FROM below JOIN pg_type AS own ON own.oid = id WHERE typtype = 'd')
  SELECT id, typmod FROM below JOIN pg_type AS own ON own.oid = id WHERE typtype <> 'd'`;

/**
 * Looks up what a key is compared by.
 *
 * @throws UnusableKey as `describeKey` does.
 */
export async function describeComparedKey(
  pool: pg.Pool,
  table: string,
  key: readonly string[],
): Promise<readonly ComparedKeyColumn[]> {
  const columns = await describeKey(pool, table, key);
  const { rows } = await pool.query<Ordering>(
    `SELECT attname AS name, format_type(base.id, -1) AS base,
            current_setting('server_encoding') = 'UTF8' AND (
              collprovider = 'b' OR collprovider = 'c' AND collcollate IN ('C', 'POSIX') OR
              collprovider = 'd' AND EXISTS (
                SELECT FROM pg_database
                 WHERE datname = current_database()
                   AND CASE coalesce(to_jsonb(pg_database) ->> 'datlocprovider', 'c')
                         WHEN 'b' THEN true WHEN 'c' THEN datcollate IN ('C', 'POSIX') ELSE false END)) AS bytewise
       FROM pg_attribute
       CROSS JOIN LATERAL (${belowDomains}) AS base
       LEFT JOIN pg_collation ON pg_collation.oid = attcollation
      WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
    [quotedTable(table)],
  );
  return columns.map((column) => {
    const found = rows.find(({ name }) => name === column.name);
    return { ...column, base: found?.base ?? column.typeName, order: found && orderOf(found) };
  });
}

function orderOf({ base, bytewise }: Ordering): ComparedKeyColumn['order'] {
  if (['smallint', 'integer', 'bigint'].includes(base)) return 'number';
  if (base === 'uuid') return 'uuid';
  return ['text', 'character varying'].includes(base) && bytewise ? 'bytes' : undefined;
}

/**
 * Whether both keys sort in the same order for certain: integers, uuids, and texts that both sort by their bytes. Of any
 * other text that cannot be known: the same name of a collation is another order under another version of its library.
 */
export function sortAlike(
  source: readonly ComparedKeyColumn[],
  target: readonly ComparedKeyColumn[],
): boolean {
  return (
    source.length === target.length &&
    source.every(({ order }, index) => order !== undefined && order === target[index]?.order)
  );
}

const widest = { number: 'bigint', uuid: 'uuid', bytes: 'text' } as const;

/** The columns with types that hold every value of either side: the key of one is a bound in the other. */
export function boundedAlike(columns: readonly ComparedKeyColumn[]): readonly KeyColumn[] {
  return columns.map((column) =>
    column.order ? { ...column, type: sql.raw(widest[column.order]) } : column,
  );
}
