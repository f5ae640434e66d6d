import type pg from 'pg';
import { belowDomains } from '../stores/postgres/compared-key.ts';
import { quotedTable } from '../stores/postgres/key-columns.ts';

/** A column's type as values of two databases are compared by it. */
export interface ComparedType {
  readonly name: string;
  /** The type below all domains, without a length. */
  readonly own: string;
  /** The same where every PostgreSQL has it and can tell its values apart; otherwise `text`. */
  readonly base: string;
  /** `base` with its length, scale or precision. */
  readonly limited: string;
  /** What a value must be equal in after it was written as another type and read back; `text` where it need not be. */
  readonly exact: string;
}

interface Described {
  readonly name: string;
  readonly own: string;
  readonly limited: string;
  readonly builtIn: boolean;
}

/** Looks up what a table's columns are compared as. */
export async function describeComparedTypes(pool: pg.Pool, table: string): Promise<readonly ComparedType[]> {
  const { rows } = await pool.query<Described>(
    `SELECT attname AS name, format_type(base.id, -1) AS own, format_type(base.id, base.typmod) AS limited,
            typnamespace = 'pg_catalog'::regnamespace AS "builtIn"
       FROM pg_attribute CROSS JOIN LATERAL (${belowDomains}) AS base JOIN pg_type ON pg_type.oid = base.id
      WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
    [quotedTable(table)],
  );
  return rows.map(comparedType);
}

/** Types whose values are cut or padded when they are cast, or are texts anyway: as texts they are what they are. */
const texts: readonly string[] = ['text', 'character varying', 'bpchar', 'name', '"char"'];

const numbers: readonly string[] = ['smallint', 'integer', 'bigint'];

/** What is equal in these is the same value, however it is written. */
const exactTypes: readonly string[] = [
  ...['numeric', 'real', 'double precision', 'boolean', 'uuid', 'bytea', 'date', 'interval'],
  ...['time without time zone', 'time with time zone'],
  ...['timestamp without time zone', 'timestamp with time zone'],
  ...['inet', 'cidr', 'macaddr', 'macaddr8', '"bit"', 'bit varying'],
];

function comparedType({ name, own, limited, builtIn }: Described): ComparedType {
  if (!builtIn || texts.includes(own)) return { name, own, base: 'text', limited: 'text', exact: 'text' };
  const exact = numbers.includes(own) ? 'numeric' : exactTypes.includes(own) ? own : 'text';
  return { name, own, base: own, limited, exact };
}

/** Whether every value of one type is one of the other, written alike. */
export function fitsAlways(source: ComparedType, sink: ComparedType): boolean {
  if (source.base === sink.base) return sink.limited === sink.base || source.limited === sink.limited;
  return numbers.includes(source.base) && numbers.indexOf(source.base) < numbers.indexOf(sink.base);
}

/** Whether a database can tell that a text is no value of a type, without an error, and whether it is JSON: since PostgreSQL 16. */
export async function tellsInvalid(pool: pg.Pool): Promise<boolean> {
  const { rows } = await pool.query<{ since: boolean }>(
    `SELECT current_setting('server_version_num')::int >= 160000 AS since`,
  );
  return rows[0]?.since === true;
}
