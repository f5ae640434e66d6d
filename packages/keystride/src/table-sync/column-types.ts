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
  return { ...column, base: 'text', limitedTo: 'text', builtIn: true, isEnum: false };
}

const texts: readonly string[] = ['text', 'character varying', 'bpchar'];

/** Values of these that differ are written differently, and a text that was written is read as what it was. */
const comparable: readonly string[] = [
  ...['smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision', 'boolean', 'uuid', 'bytea'],
  ...['date', 'time without time zone', 'time with time zone', 'interval'],
  ...['timestamp without time zone', 'timestamp with time zone'],
  ...['inet', 'cidr', 'macaddr', 'macaddr8', '"bit"', 'bit varying', 'oid', 'pg_lsn'],
  ...['int4range', 'int8range', 'numrange', 'daterange', 'tsrange', 'tstzrange'],
];

const isText = ({ base }: ColumnType) => texts.includes(base);
const isComparable = ({ base }: ColumnType) => comparable.includes(base.replace('[]', ''));
const isLimited = ({ base, limitedTo }: ColumnType) => base !== limitedTo;

/** Types that read less than a text may say, each with one that reads more of it: the time of a day, an offset, digits. */
const readMore: Readonly<Record<string, string>> = {
  date: 'timestamp with time zone',
  'timestamp without time zone': 'timestamp with time zone',
  'time without time zone': 'interval',
  real: 'numeric',
  'double precision': 'numeric',
};

/** The type in which a text must be the same as in another type, for it to be read whole; undefined where it always is. */
export function readWholeIn(type: string): string | undefined {
  const found = readMore[type.replace('[]', '')];
  return found && type.replace(/^[^[]*/u, found);
}

/** Digits of a second that PostgreSQL rounds, and words that are another time whenever they are read. */
const passingTime = String.raw`~* '\.\d{6}\d*[1-9]|\m(now|today|tomorrow|yesterday)\M'`;

const lessThanCents = String.raw`~ '\.\d{2}\d*[1-9]'`;

/**
 * When a text is read as another value than it says, as a condition that follows it; undefined where it never is.
 *
 * @param tellsKeys the server has `IS JSON`.
 */
export function misread(source: ColumnType, sink: ColumnType, tellsKeys: boolean): string | undefined {
  if (sink.base === 'jsonb' && tellsKeys && (isText(source) || source.base === 'json'))
    return 'IS NOT JSON WITH UNIQUE KEYS';
  if (!sink.builtIn || !texts.includes(source.base.replace('[]', ''))) return undefined;
  if (sink.base.startsWith('money')) return lessThanCents;
  return /^(date|time|interval)/u.test(sink.base) ? passingTime : undefined;
}

/**
 * The type in which a value that is written must equal the one that was sent; undefined where PostgreSQL refuses by
 * itself what does not fit. It rounds a numeric and a time to the column's scale without a word, reads a day out of a
 * timestamp or of a text, takes blanks off, and cuts a `name`.
 */
export function exactIn(
  source: ColumnType,
  sink: ColumnType,
  { isKey, isCast }: { readonly isKey: boolean; readonly isCast: boolean },
): string | undefined {
  const same = source.limitedTo === sink.limitedTo;
  if (isCast && !isKey) return isLimited(sink) && sink.builtIn && !isText(sink) ? sink.base : undefined;
  if (['name', '"char"'].includes(sink.base)) return same ? undefined : 'text';
  if (isText(sink)) return isText(source) && isLimited(sink) && !same ? 'text' : undefined;
  if (isText(source) || !isComparable(source)) {
    if (isKey && source.base !== sink.base) return 'text';
    return (sink.builtIn ? readWholeIn(sink.base) : undefined) ?? limitOf(sink, same);
  }
  if (source.base === sink.base) return limitOf(sink, same);
  // 9007199254740992 is 9.007199254740992e+15 as a float, which is a number, and no integer's text.
  return source.base.replace(/^(smallint|integer|bigint)/u, 'numeric');
}

function limitOf(sink: ColumnType, same: boolean): string | undefined {
  return isLimited(sink) && isComparable(sink) && !same ? sink.base : undefined;
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
 * @throws JobParametersInvalid naming both columns.
 */
export function requireDistinct(source: ColumnType, sink: ColumnType): void {
  const { looseCollation } = sink;
  if (looseCollation !== null && looseCollation !== source.looseCollation)
    throw invalid(
      `${told(source, sink)}, by a unique index whose collation ${looseCollation} takes different texts for one, ` +
        "and one row would be written over another; make the sink's index of a deterministic collation",
    );
  const fromIntegers = integers.includes(source.base) && numbers.includes(sink.base);
  if (source.base === sink.base || strict.includes(sink.base) || sink.isEnum || fromIntegers) return;
  throw invalid(
    `${told(source, sink)}, which may take two of its values for one, and one row would be written over another; ` +
      `make the sink's column of the source's type, or text`,
  );
}

function told(source: ColumnType, sink: ColumnType): string {
  return `the key column ${source.name} is ${source.limitedTo} in the source and ${sink.limitedTo} (${sink.name}) in the sink`;
}
