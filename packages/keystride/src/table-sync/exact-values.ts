import type { RawBuilder } from 'kysely';
import { sql } from 'kysely';
import type { ColumnType } from './column-types.ts';

/** What PostgreSQL would make of a value on its way into another type, without a word: what is refused instead. */

const texts: readonly string[] = ['text', 'character varying', 'bpchar'];

const floats: readonly string[] = ['real', 'double precision'];
const exactNumbers: readonly string[] = ['smallint', 'integer', 'bigint', 'numeric', 'money'];

/** Values of these that differ are written differently, and a text that was written is read as what it was. */
const comparable: readonly string[] = [
  ...['smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision', 'boolean', 'uuid', 'bytea'],
  ...['date', 'time without time zone', 'time with time zone', 'interval'],
  ...['timestamp without time zone', 'timestamp with time zone'],
  ...['inet', 'cidr', 'macaddr', 'macaddr8', '"bit"', 'bit varying', 'oid', 'pg_lsn'],
  ...['int4range', 'int8range', 'numrange', 'daterange', 'tsrange', 'tstzrange'],
];

/** What is written into these is as it was sent only where it is read back as that text: they sort, round, cut and leave out. */
const literal: readonly string[] = [
  ...['name', '"char"', 'tsvector', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle'],
];

const elementOf = ({ base }: ColumnType) => base.replace('[]', '');
const isText = ({ base }: ColumnType) => texts.includes(base);
const isComparable = (type: ColumnType) => comparable.includes(elementOf(type));
const isLimited = ({ base, limitedTo }: ColumnType) => base !== limitedTo;

/** Types that read less than a text may say, each with one that reads more of it: the time of a day, an offset, digits, a sign. */
const readMore: Readonly<Record<string, string>> = {
  date: 'timestamp with time zone',
  'timestamp without time zone': 'timestamp with time zone',
  'time without time zone': 'interval',
  daterange: 'tstzrange',
  tsrange: 'tstzrange',
  datemultirange: 'tstzmultirange',
  tsmultirange: 'tstzmultirange',
  real: 'numeric',
  'double precision': 'numeric',
  oid: 'numeric',
  xid: 'numeric',
  cid: 'numeric',
  xid8: 'numeric',
};

/** The type in which a text must be the same as in another type, for it to be read whole; undefined where it always is. */
export function readWholeIn(type: string): string | undefined {
  const found = readMore[type.replace('[]', '')];
  return found && type.replace(/^[^[]*/u, found);
}

/** Digits of a second that are rounded, words that are another time whenever they are read, days of either order. */
const passingTime = String.raw`\.\d{6}\d*[1-9]|\m(now|today|tomorrow|yesterday)\M|(^|[^-\d.:/])\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}`;

/** A part of a year or a month, which is so many days or is dropped. */
const partOfMonth = String.raw`\.\d*[1-9]\d*\s*(y|mon|dec|c|millen)|P[^T]*\.\d*[1-9]\d*M`;

/** Decimals that are rounded, and commas that divide no thousands: 1,25 would be 125. */
const noCents = String.raw`\.\d{2}\d*[1-9]|,(?!\d{3}(\D|$))`;
const lessThanCents = String.raw`\.\d{2}\d*[1-9]`;

const minusZero = '(^|[{,])-0([,}]|$)';

const timeAndOffset = String.raw`^\s*\d{1,2}:\d{2}(:\d{2}(\.\d{0,6}0*)?)?\s*([ap]m)?\s*(z|utc|[-+]\d{1,2}(:?\d{2}){0,2})?\s*$`;

const eightBytes = String.raw`^\s*([0-9a-f][^0-9a-f]*){16}$`;

/**
 * When a text is read as another value than it says, as a condition in which `{}` stands for it; undefined where it never is.
 *
 * @param tellsKeys the server has `IS JSON`.
 */
export function misread(source: ColumnType, sink: ColumnType, tellsKeys: boolean): string | undefined {
  const [from, to] = [elementOf(source), elementOf(sink)];
  if (!sink.builtIn) return undefined;
  if (to === 'jsonb') {
    if (!tellsKeys || !(texts.includes(from) || from === 'json')) return undefined;
    return sink.base === to
      ? '{} IS NOT JSON WITH UNIQUE KEYS'
      : 'EXISTS (SELECT FROM unnest({}::text[]) AS each (document) WHERE document IS NOT JSON WITH UNIQUE KEYS)';
  }
  const isOther = [
    ...(floats.includes(from) && exactNumbers.includes(to) ? [minusZero] : []),
    ...(to === 'money' && from !== 'money' ? [texts.includes(from) ? noCents : lessThanCents] : []),
    ...(texts.includes(from) && /^(date|time|interval|ts(tz)?(multi)?range)/u.test(to) ? [passingTime] : []),
    ...(texts.includes(from) && to === 'interval' ? [partOfMonth] : []),
  ];
  if (texts.includes(from) && to === 'time with time zone') return `{} !~* '${timeAndOffset}'`;
  if (texts.includes(from) && to === 'macaddr8') return `{} !~* '${eightBytes}'`;
  return isOther.length > 0 ? `{} ~* '${isOther.join('|')}'` : undefined;
}

/** A condition of `misread` for a value. */
export function misreadAs(condition: string, value: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql<boolean>`(${sql.join(
    condition.split('{}').map((part) => sql.raw(part)),
    value,
  )})`;
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
  // Types of one name may be of other parts in the other database.
  if (sink.isStructured) return 'text';
  if (same) return undefined;
  if (literal.includes(elementOf(sink))) return 'text';
  if (isText(sink)) return isText(source) && isLimited(sink) ? 'text' : undefined;
  // It is written with a sign and commas: what it would round is told by `misread`.
  if (elementOf(sink) === 'money') return undefined;
  if (isText(source) || !isComparable(source)) {
    if (isKey && source.base !== sink.base) return 'text';
    return (sink.builtIn ? readWholeIn(sink.base) : undefined) ?? limitOf(sink);
  }
  if (source.base === sink.base) return limitOf(sink);
  // 9007199254740992 is 9.007199254740992e+15 as a float, which is a number, and no integer's text.
  return source.base.replace(/^(smallint|integer|bigint)/u, 'numeric');
}

function limitOf(sink: ColumnType): string | undefined {
  return isLimited(sink) && isComparable(sink) ? sink.base : undefined;
}
