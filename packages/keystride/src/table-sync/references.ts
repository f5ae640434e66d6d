import pg from 'pg';
import { quotedTable } from '../stores/postgres/key-columns.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { SinkColumn } from './sink.ts';
import type { SyncRow } from './sync-row.ts';

/** A foreign key of a sink. */
export interface Reference {
  readonly columns: readonly string[];
  /** The table that it leads to. */
  readonly parent: string;
  readonly referenced: readonly string[];
}

/** What the sink's constraints mean for the order in which rows are written. */
export interface References {
  readonly table: string;
  readonly columns: readonly SinkColumn[];
  /** Those that lead to the sink itself. */
  readonly toItself: readonly Reference[];
  /** Some constraint may wait until COMMIT, where nobody could tell which row it refuses. */
  readonly deferrable: boolean;
}

/** Looks up which of the columns that are written refer to rows of the same table. */
export async function referencesOf(
  pool: pg.Pool,
  table: string,
  columns: readonly SinkColumn[],
): Promise<References> {
  const { rows } = await pool.query<Omit<Reference, 'parent'> & { itself: boolean; deferrable: boolean }>(
    `SELECT contype = 'f' AND confrelid = conrelid AS itself, condeferrable AS deferrable,
            array(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS part (number, place)
                    JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place) AS columns,
            array(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS part (number, place)
                    JOIN pg_attribute ON attrelid = confrelid AND attnum = number ORDER BY place) AS referenced
       FROM pg_constraint WHERE conrelid = to_regclass($1)`,
    [quotedTable(table)],
  );
  const written = (names: readonly string[]) =>
    names.every((name) => columns.some((column) => column.name === name));
  return {
    table,
    columns,
    toItself: rows
      .filter((row) => row.itself && written(row.columns) && written(row.referenced))
      .map((row) => ({ columns: row.columns, parent: table, referenced: row.referenced })),
    deferrable: rows.some(({ deferrable }) => deferrable),
  };
}

/**
 * The indexes of rows that refer to a row which is neither there nor among them; and of those that refer to such a row,
 * and so on.
 */
export async function lackingParents(
  references: References,
  rows: readonly SyncRow[],
  transaction: Transaction,
): Promise<ReadonlySet<number>> {
  const lacking = new Set<number>();
  /** For each row that is to come along: the rows that refer to it. */
  const children = new Map<number, number[]>();
  for (const reference of references.toItself) {
    const there = await parentsThere(references.columns, reference, rows, transaction);
    const byKey = new Map(rows.map((row, index) => [keyOf(row, reference.referenced), index]));
    for (const [index, row] of rows.entries()) {
      const wanted = keyOf(row, reference.columns);
      if (wanted === undefined || there.has(index)) continue;
      const parent = byKey.get(wanted);
      if (parent === undefined) lacking.add(index);
      else children.set(parent, [...(children.get(parent) ?? []), index]);
    }
  }
  // A set that grows while it is walked is walked to its end.
  for (const index of lacking) for (const child of children.get(index) ?? []) lacking.add(child);
  return lacking;
}

/** What a row refers to as one text; undefined for a reference to nothing: one of its columns is null. */
export function keyOf(row: SyncRow, names: readonly string[]): string | undefined {
  const texts = names.map((name) => row[name] ?? null);
  return texts.includes(null) ? undefined : JSON.stringify(texts);
}

/** The indexes of rows whose parents are in their table. A reference to nothing has none. */
export async function parentsThere(
  columns: readonly SinkColumn[],
  { columns: from, parent, referenced }: Reference,
  rows: readonly SyncRow[],
  transaction: Transaction,
): Promise<ReadonlySet<number>> {
  const value = (name: string, index: number) => {
    const { type, via } = columns.find((column) => column.name === name) ?? { type: 'text', via: undefined };
    return `child.c${index}${via === undefined ? '' : `::${via}`}::${type}`;
  };
  const same = referenced.map(
    (name, index) => `parent.${pg.escapeIdentifier(name)} = ${value(from[index] ?? '', index)}`,
  );
  const { rows: found } = await transaction.query<{ place: number }>(
    `SELECT place::int - 1 AS place
       FROM unnest(${from.map((_, index) => `$${index + 1}::text[]`).join(', ')})
            WITH ORDINALITY AS child (${from.map((_, index) => `c${index}`).join(', ')}, place)
      WHERE EXISTS (SELECT FROM ${quotedTable(parent)} AS parent WHERE ${same.join(' AND ')})`,
    from.map((name) => rows.map((row) => row[name] ?? null)),
  );
  return new Set(found.map(({ place }) => place));
}
