import type pg from 'pg';
import { type RawBuilder, sql } from 'kysely';
import type { Cursor } from '../../contract/cursor.ts';
import { hashComparison } from '../../stores/postgres/hash-comparison.ts';
import { columnIn, namedTables, tableNamed } from '../../stores/postgres/sql.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import type { SinkColumn } from './sink.ts';
import { type ComparedSync, syncSource, type SyncRow } from './steps.ts';

interface ComparedSide {
  readonly pool: pg.Pool;
  readonly table: string;
  readonly key: readonly string[];
}

/** A column that is compared: what the source would write, and the column of the sink. */
export interface ComparedColumn extends SinkColumn {
  /** The value as text, as the source sends it. */
  readonly text: RawBuilder<string | null>;
  /** The type of the sink's column, with its scale: what is written to it is rounded so. */
  readonly declared: string;
}

/**
 * Compares a table with its copy: each value as the sink writes its own. What the source sends is converted there as the
 * sink converts it, so that 1.0 and 1.00 are one number where the sink knows numbers.
 */
export function compareTables(
  source: ComparedSide & {
    readonly query: Parameters<typeof syncSource<NamedTables, string, SyncRow>>[0]['query'];
  },
  sink: ComparedSide,
  columns: readonly ComparedColumn[],
): ComparedSync {
  const sent = columns.map(({ text, via, type, declared, name }) => {
    const value = sql`${text}${via === undefined ? sql`` : sql`::${sql.raw(via)}`}::${sql.raw(declared)}`;
    return comparable(value, type).as(name);
  });
  const there = columns.map(({ name, type }) => comparable(columnIn(sink.table, name), type).as(name));
  return {
    comparison: hashComparison(
      { ...source, query: namedTables.selectFrom(tableNamed(source.table)).select(sent) },
      { ...sink, query: namedTables.selectFrom(tableNamed(sink.table)).select(there) },
    ),
    reader: syncSource(source).above(null),
    remove: (keys, transaction) => removeRows(sink, columns, keys, transaction),
  };
}

type NamedTables = Record<string, Record<string, string | null>>;

/** A value as both databases write it, whatever time zones they are set to. */
export function comparable(value: RawBuilder<unknown>, type: string): RawBuilder<string | null> {
  return type === 'timestamp with time zone'
    ? sql<string | null>`(${value} AT TIME ZONE 'UTC')::text`
    : sql<string | null>`${value}::text`;
}

async function removeRows(
  { table, key }: ComparedSide,
  columns: readonly ComparedColumn[],
  keys: readonly Cursor[],
  transaction: Transaction,
): Promise<void> {
  const names = sql.join(key.map((name) => columnIn(table, name)));
  const values = key.map((name, index) => {
    const type = columns.find((column) => column.name === name)?.type ?? 'text';
    return sql`${sql.ref(`gone.c${index}`)}::${sql.raw(type)}`;
  });
  const arrays = key.map((_, index) => sql`${keys.map((cursor) => cursor[index])}::text[]`);
  const aliases = key.map((_, index) => sql.ref(`c${index}`));
  await transaction.run(
    namedTables
      .deleteFrom(tableNamed(table))
      .where(
        sql<boolean>`(${names}) IN (SELECT ${sql.join(values)} FROM unnest(${sql.join(arrays)}) AS gone (${sql.join(aliases)}))`,
      ),
  );
}
