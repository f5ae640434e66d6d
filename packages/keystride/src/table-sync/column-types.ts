import type pg from 'pg';
import { belowDomains } from '../stores/postgres/compared-key.ts';
import { quotedTable } from '../stores/postgres/key-columns.ts';
import { invalid } from './tables.ts';

/** What a column's values are, whatever domains are put over them. */
export interface ColumnType {
  readonly name: string;
  /** The type below all domains, without a length. */
  readonly base: string;
  /** The same with its length, scale or precision, as the innermost domain has it. */
  readonly limitedTo: string;
  /** Of PostgreSQL itself. */
  readonly builtIn: boolean;
  readonly isEnum: boolean;
  /** A composite or a range that is not PostgreSQL's own, or an array of them: its parts have types of their own. */
  readonly isStructured: boolean;
  /** The collation by which a unique index of it takes different texts for one; null where none does. */
  readonly looseCollation: string | null;
  /** A value must be given, and there is none of its own. */
  readonly mustBeGiven: boolean;
}

/** Looks up the types of a table's columns. */
export async function describeTypes(pool: pg.Pool, table: string): Promise<readonly ColumnType[]> {
  const { rows } = await pool.query<ColumnType>(
    `SELECT attname AS name, format_type(base.id, -1) AS base, format_type(base.id, base.typmod) AS "limitedTo",
            typnamespace = 'pg_catalog'::regnamespace AS "builtIn", typtype = 'e' AS "isEnum",
            typnamespace <> 'pg_catalog'::regnamespace
              AND EXISTS (SELECT FROM pg_type AS part WHERE part.oid IN (base.id, pg_type.typelem) AND part.typtype IN ('c', 'r', 'm'))
              AS "isStructured",
            (SELECT min(collname)
               FROM pg_index, unnest(indkey::int2[], indcollation::oid[]) AS part (attnum, coll)
               JOIN pg_collation ON pg_collation.oid = coll
              WHERE indrelid = attrelid AND indisunique AND part.attnum = pg_attribute.attnum
                AND NOT collisdeterministic) AS "looseCollation",
            attnotnull AND NOT atthasdef AND attidentity = ''
              AND NOT EXISTS (SELECT FROM pg_type AS own WHERE own.oid = atttypid AND own.typdefault IS NOT NULL)
              AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = attrelid AND NOT tgisinternal AND tgtype & 7 = 7)
              AS "mustBeGiven"
       FROM pg_attribute
       CROSS JOIN LATERAL (${belowDomains}) AS base
       JOIN pg_type ON pg_type.oid = base.id
      WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
    [quotedTable(table)],
  );
  return rows;
}

/** A column that a mask makes a text of. */
export function maskedAs(column: ColumnType): ColumnType {
  return { ...column, base: 'text', limitedTo: 'text', builtIn: true, isEnum: false, isStructured: false };
}

/** Types of which no two values that are written differently are taken for one. */
const strict: readonly string[] = [
  ...[
    'smallint',
    'integer',
    'bigint',
    'boolean',
    'uuid',
    'bytea',
    'text',
    'character varying',
    'name',
    '"char"',
  ],
  ...['date', 'time without time zone', 'timestamp without time zone', 'timestamp with time zone'],
  ...['macaddr', 'macaddr8', 'oid', 'pg_lsn'],
];

const integers: readonly string[] = ['smallint', 'integer', 'bigint'];
const numbers: readonly string[] = ['numeric', 'real', 'double precision'];

/** Whether a column takes values that are written differently for one. */
export function isLoose({ base, isEnum, looseCollation }: ColumnType): boolean {
  return looseCollation !== null || !(isEnum || strict.includes(base));
}

/**
 * Two keys of the source must be two in the sink: the later one would be written over the other.
 *
 * @param table the sink.
 * @throws JobParametersInvalid naming both columns.
 */
export function requireDistinct(table: string, source: ColumnType, sink: ColumnType): void {
  const { looseCollation } = sink;
  if (looseCollation !== null && looseCollation !== source.looseCollation)
    throw invalid(
      `${told(table, source, sink)}, by a unique index whose collation ${looseCollation} takes different texts for one, ` +
        "and one row would be written over another; make the sink's index of a deterministic collation",
    );
  const fromIntegers = integers.includes(source.base) && numbers.includes(sink.base);
  if (source.base === sink.base || strict.includes(sink.base) || sink.isEnum || fromIntegers) return;
  throw invalid(
    `${told(table, source, sink)}, which may take two of its values for one, and one row would be written over another; ` +
      `make the sink's column of the source's type, or text`,
  );
}

function told(table: string, source: ColumnType, sink: ColumnType): string {
  return `the key column ${source.name} is ${source.limitedTo} in the source and ${sink.limitedTo} (${sink.name}) in the sink ${table}`;
}
