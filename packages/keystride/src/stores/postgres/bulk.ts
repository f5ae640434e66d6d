import pg from 'pg';
import type { Insertable, Updateable } from 'kysely';
import { oneLine } from '../../contract/inert.ts';
import { quotedTable } from './key-columns.ts';
import { UnwritableValue } from './parameter.ts';
import { requireThere, RowNotKept } from './kept-rows.ts';
import type { Transaction } from './transaction.ts';
import { writtenColumn } from './written-column.ts';

type Columns<Table> = keyof Insertable<Table> & keyof Updateable<Table> & string;

interface BulkUpsert<
  Database,
  Table extends keyof Database & string,
  Column extends Columns<Database[Table]>,
> {
  readonly table: Table;
  /** The columns to write, with their PostgreSQL types. */
  readonly columns: Readonly<Record<Column, string>>;
  readonly rows: readonly Readonly<Record<NoInfer<Column>, unknown>>[];
  /** The unique key whose rows are updated instead of inserted. */
  readonly conflict: readonly NoInfer<Column>[];
  /** The columns to overwrite on conflict; none: what is there stays. */
  readonly update: readonly NoInfer<Column>[];
  /** A column that is set to the time of the transaction when a row is overwritten. */
  readonly touch?: Columns<Database[Table]>;
}

/**
 * Writes rows in one statement of one parameter a column (`INSERT … SELECT FROM unnest … ON CONFLICT`), so that
 * its size is not bounded by the 65,535 parameters of a statement. Doing it again changes nothing.
 *
 * @returns rows inserted or updated: all of them, unless none is to be overwritten.
 * @throws UnwritableValue for a row that lacks a column, and for a value that would be written as another one;
 *   RowNotKept where a trigger of the table leaves out a row.
 */
export function bulkUpsert<Database>() {
  return async <Table extends keyof Database & string, Column extends Columns<Database[Table]>>(
    transaction: Transaction,
    { table, columns, rows, conflict, update, touch }: BulkUpsert<Database, Table, Column>,
  ): Promise<number> => {
    const set = update.map((name) => `${pg.escapeIdentifier(name)} = excluded.${pg.escapeIdentifier(name)}`);
    if (touch) set.push(`${pg.escapeIdentifier(touch)} = now()`);
    const onConflict = `(${quoted(conflict)}) DO ${set.length > 0 ? `UPDATE SET ${set.join(', ')}` : 'NOTHING'}`;
    return insertRows(transaction, { table, columns, onConflict }, rows);
  };
}

interface WrittenTable<Column extends string> {
  /** `table` or `schema.table`, as readers take it. */
  readonly table: string;
  /** The columns to write, with their PostgreSQL types: `{ id: 'bigint' }`. */
  readonly columns: Readonly<Record<Column, string>>;
}

/**
 * The writer of a step whose outputs are new rows of a table, by the names of its columns. It writes a chunk in one
 * statement. A row that a unique key of the table has already stays as it is, and counts as filtered; so does one that a
 * trigger leaves out. An array is one value: the text of an array, or JSON, by the type of its column.
 *
 * Each row has a value for each of the columns, NULL being `null`; other properties of it are not written.
 *
 * Its `write` throws `UnwritableValue` for a value that would be written as another one (half of a surrogate pair, a map, a
 * number beyond 2^53 for a bigint), and `RowNotKept` where the table does not have a row after all, because a value that the database gave it
 * is there already: a sequence that is behind, say.
 *
 * @example
 * chunks({ reader, processor: ({ id }) => ({ invoice_id: id }),
 *   writer: tableWriter({ table: 'reminder', columns: { invoice_id: 'bigint' } }) });
 */
export function tableWriter<Column extends string>({
  table,
  columns,
}: WrittenTable<Column>): {
  readonly write: (
    rows: readonly Readonly<Record<Column, unknown>>[],
    transaction: Transaction,
  ) => Promise<number>;
} {
  const target = { table, columns, onConflict: anyConflict };
  return { write: (rows, transaction) => insertRows(transaction, target, rows) };
}

/** Of whatever unique key, one that the database gives the values of among them. */
const anyConflict = 'DO NOTHING';

async function insertRows<Column extends string>(
  transaction: Transaction,
  { table, columns, onConflict }: WrittenTable<Column> & { readonly onConflict: string },
  rows: readonly Readonly<Record<Column, unknown>>[],
): Promise<number> {
  if (rows.length === 0) return 0;
  const names = Object.keys(columns) as Column[];
  const written = names.map((name) => writtenColumn(name, columns[name]));
  const arrays = written.map(({ given }, index) => `$${index + 1}::${given}[]`);
  const elements = written.map((column, index) => column.written(`given.c${index}`));
  const from = `unnest(${arrays.join(', ')}) AS given (${names.map((_, index) => `c${index}`).join(', ')})`;
  const values = names.map((name, index) =>
    rows.map((row) => written[index]?.elementOf(valueOf(row, name, columns))),
  );
  const { rowCount } = await transaction.query(
    `INSERT INTO ${quotedTable(table)} (${quoted(names)})
     SELECT ${elements.join(', ')} FROM ${from}
     ON CONFLICT ${onConflict}`,
    values,
  );
  const inserted = rowCount ?? 0;
  if (inserted < rows.length && !onConflict.endsWith('DO NOTHING'))
    throw new RowNotKept(`${table} took a row that it does not have: a trigger of it leaves rows out`);
  if (inserted < rows.length && onConflict === anyConflict) {
    const byName = Object.fromEntries(names.map((name, index) => [name, elements[index] ?? '']));
    await requireThere(transaction, { table, columns: byName, from, values });
  }
  return inserted;
}

/** @throws UnwritableValue for a row without a value for the column, which a name that is misspelt leaves. */
function valueOf(
  row: Readonly<Record<string, unknown>>,
  name: string,
  columns: Readonly<Record<string, string>>,
): unknown {
  const value = row[name];
  if (value !== undefined) return value;
  const names = Object.keys(columns);
  const others = Object.keys(row).filter((other) => !names.includes(other));
  const beside =
    others.length > 0 ? `, but has ${others.map(oneLine).join(', ')}, which no column takes` : '';
  throw new UnwritableValue(
    `column ${name} is written as ${columns[name]}, and a row has nothing for it${beside}: NULL is null`,
  );
}

function quoted(names: readonly string[]): string {
  return names.map((name) => pg.escapeIdentifier(name)).join(', ');
}
