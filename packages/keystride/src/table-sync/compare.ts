import type pg from 'pg';
import { type RawBuilder, sql } from 'kysely';
import type { Cursor } from '../contract/cursor.ts';
import { answeredOnce } from '../contract/answered-once.ts';
import { hashComparison, type TableComparison } from '../stores/postgres/hash-comparison.ts';
import { columnIn, namedTables, tableNamed } from '../stores/postgres/sql.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { misreadAs, readWholeIn } from './exact-values.ts';
import { type ComparedType, describeComparedTypes, fitsAlways, tellsInvalid } from './compared-types.ts';
import type { SinkColumn } from './sink.ts';
import { syncSource } from './steps.ts';
import type { ComparedSync } from './sync.ts';
import type { SyncRow } from './sync-row.ts';

interface ComparedSide {
  readonly pool: pg.Pool;
  readonly table: string;
  readonly key: readonly string[];
}

/** A column that is compared: what the source would write, and the column of the sink. */
export interface ComparedColumn extends SinkColumn {
  /** The column of the source. */
  readonly from: string;
  /** The value as text, as the source sends it. */
  readonly text: RawBuilder<string | null>;
  /** The text stands for the value. */
  readonly masked: boolean;
}

/**
 * Compares a table with its copy: each value as the sink writes its own. What the source sends is converted there to the
 * sink's type, without its length or scale, so that 1.0 and 1.00 are one number, and what the sink had to cut or to round
 * differs.
 *
 * @param partitions ranges of the key that are compared at once.
 */
export function compareTables(
  source: ComparedSide & {
    readonly query: Parameters<typeof syncSource<NamedTables, string, SyncRow>>[0]['query'];
  },
  sink: ComparedSide,
  columns: readonly ComparedColumn[],
  partitions: number,
): ComparedSync {
  const comparison = answeredOnce(() => comparisonOf(source, sink, columns, partitions));
  return {
    comparison: {
      comparePage: async (position, limit, signal) =>
        (await comparison()).comparePage(position, limit, signal),
      lacking: async (keys, signal) => (await comparison()).lacking(keys, signal),
      again: async (differences, signal) => (await comparison()).again(differences, signal),
      unrepairable: async () => (await comparison()).unrepairable(),
    },
    reader: syncSource(source).above(null),
    remove: async (keys, transaction) => removeRows(sink, await typesOf(sink), keys, transaction),
  };
}

type NamedTables = Record<string, Record<string, string | null>>;

async function comparisonOf(
  source: ComparedSide,
  sink: ComparedSide,
  columns: readonly ComparedColumn[],
  partitions: number,
): Promise<TableComparison> {
  const [from, to, checks] = await Promise.all([typesOf(source), typesOf(sink), tellsInvalid(source.pool)]);
  const compared = columns.map((column) => {
    const type = typeIn(to, column.name);
    const own = column.masked ? undefined : typeIn(from, column.from);
    const there = columnIn(sink.table, column.name);
    if (column.via !== undefined || !own || type.base === 'text' || !fitsAlways(own, type))
      return {
        name: column.name,
        sent: sentAs(column, own, type, checks),
        there: comparable(there, type.base),
      };
    // No text has to be read again. Of one scale, both write the same zeros.
    const ofOneScale = own.limited === type.limited && type.limited.startsWith('numeric(');
    const write = (value: RawBuilder<unknown>) => (ofOneScale ? value : recorded(value, type.base));
    return {
      name: column.name,
      sent: write(columnIn(source.table, column.from)),
      there: write(there),
    };
  });
  const cast = sink.key.some((name) => columns.find((column) => column.name === name)?.via !== undefined);
  const keyTexts = sink.key.flatMap((name) => {
    const found = compared.find((column) => column.name === name);
    return found ? [found] : [];
  });
  const query = (table: string, side: 'sent' | 'there') =>
    namedTables.selectFrom(tableNamed(table)).select(compared.map((column) => column[side].as(column.name)));
  return hashComparison(
    {
      ...source,
      query: query(source.table, 'sent'),
      ...(cast && { keyTexts: keyTexts.map(({ sent }) => sql<string | null>`${sent}::text`) }),
    },
    {
      ...sink,
      query: query(sink.table, 'there'),
      ...(cast && { keyTexts: keyTexts.map(({ there }) => sql<string | null>`${there}::text`) }),
    },
    { atOnce: partitions },
  );
}

async function typesOf({ pool, table }: ComparedSide): Promise<readonly ComparedType[]> {
  return describeComparedTypes(pool, table);
}

function typeIn(types: readonly ComparedType[], name: string): ComparedType {
  const text = { own: 'text', base: 'text', limited: 'text', exact: 'text' };
  return types.find((type) => type.name === name) ?? { name, ...text };
}

/**
 * What the source would write, as the sink's type has it. A value that the sink cannot keep as it is has a text that no
 * value of the sink has.
 */
function sentAs(
  { text, via, misread, exactIn }: ComparedColumn,
  source: ComparedType | undefined,
  sink: ComparedType,
  checks: boolean,
): RawBuilder<string | null> {
  const plain = sql<string | null>`(${text} COLLATE "C")`;
  const valid = (of: RawBuilder<unknown>, type: string) =>
    checks ? sql`pg_input_is_valid(${of}, ${sql.lit(type)})` : sql`true`;
  const sent =
    via === undefined
      ? plain
      : sql<
          string | null
        >`(CASE WHEN ${plain} IS NULL OR ${valid(plain, via)} THEN ${plain}::${sql.raw(via)}::text
          ELSE 'no value ' || ${plain} END COLLATE "C")`;
  if (sink.base === 'text') return sent;
  // Converted without its length, nothing is cut; with it, it is written as the sink does: 1.0 in an array of
  // numeric(10,2) as 1.00.
  const value = sql`${sent}::${sql.raw(sink.base)}`;
  const kept = sql`${sent}::${sql.raw(sink.limited)}`;
  const isSent = exactIn === 'text' ? sql`${kept}::text = ${sent}` : sql`true`;
  const isKept = sink.limited === sink.base ? isSent : sql`${kept} = ${value}`;
  // A day of a timestamp is not that timestamp: it must be what was sent when it is read back.
  const back = via === undefined && source && source.base !== sink.base ? exactOf(source, sink) : 'text';
  const readBack = sql`${kept}::text::${sql.raw(back)} = ${sent}::${sql.raw(back)}`;
  const isWhole =
    back === 'text'
      ? isKept
      : sql`CASE WHEN ${valid(sql`${kept}::text`, back)} AND ${valid(sent, back)} THEN ${readBack} ELSE false END`;
  const other = misread === undefined ? sql`false` : sql`${misreadAs(misread, sent)} IS TRUE`;
  return sql<
    string | null
  >`CASE WHEN ${sent} IS NULL THEN NULL WHEN NOT ${valid(sent, sink.base)} THEN 'no value ' || ${sent}
    WHEN NOT ${valid(sent, sink.limited)} OR ${other} OR NOT (${isWhole}) THEN 'cut ' || ${sent} ELSE ${comparable(kept, sink.base)} END`;
}

function exactOf(source: ComparedType, sink: ComparedType): string {
  if (sink.base.startsWith('money')) return 'text';
  return source.exact === 'text' ? (readWholeIn(sink.base) ?? 'text') : source.exact;
}

/** A value as both databases write it, whatever time zones they are set to, and numbers whatever zeros they end with. */
export function comparable(value: RawBuilder<unknown>, type: string): RawBuilder<string | null> {
  if (type === 'double precision') return sql<string | null>`encode(float8send(${value}), 'hex')`;
  if (type === 'real') return sql<string | null>`encode(float4send(${value}), 'hex')`;
  return sql<string | null>`${alike(value, type)}::text`;
}

/** Types whose values a record writes as they are written by themselves: to make texts of them first takes time. */
const writtenAlike: readonly string[] = [
  ...['smallint', 'integer', 'bigint', 'numeric', 'uuid', 'date'],
  ...['timestamp without time zone', 'timestamp with time zone'],
];

/** A value of which a record is to write the text of `comparable`. */
function recorded(value: RawBuilder<unknown>, type: string): RawBuilder<unknown> {
  return writtenAlike.includes(type) ? alike(value, type) : comparable(value, type);
}

/** What is written alike wherever it is. */
function alike(value: RawBuilder<unknown>, type: string): RawBuilder<unknown> {
  if (type === 'timestamp with time zone') return sql`(${value} AT TIME ZONE 'UTC')`;
  return type === 'numeric' ? sql`trim_scale(${value})` : value;
}

/** @returns how many rows were there. */
async function removeRows(
  { table, key }: ComparedSide,
  types: readonly ComparedType[],
  keys: readonly Cursor[],
  transaction: Transaction,
): Promise<number> {
  const names = sql.join(key.map((name) => columnIn(table, name)));
  const values = key.map((name, index) => {
    const type = types.find((column) => column.name === name)?.own ?? 'text';
    return sql`${sql.ref(`gone.c${index}`)}::${sql.raw(type)}`;
  });
  const arrays = key.map((_, index) => sql`${keys.map((cursor) => cursor[index])}::text[]`);
  const aliases = key.map((_, index) => sql.ref(`c${index}`));
  const { length } = await transaction.run(
    namedTables
      .deleteFrom(tableNamed(table))
      .where(
        sql<boolean>`(${names}) IN (SELECT ${sql.join(values)} FROM unnest(${sql.join(arrays)}) AS gone (${sql.join(aliases)}))`,
      )
      .returning(sql<number>`1`.as('removed')),
  );
  return length;
}
