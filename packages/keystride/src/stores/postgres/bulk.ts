import pg from 'pg';
import type { Insertable, Updateable } from 'kysely';
import type { Transaction } from './transaction.ts';

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
 * @returns rows inserted or updated.
 */
export function bulkUpsert<Database>() {
  return async <Table extends keyof Database & string, Column extends Columns<Database[Table]>>(
    transaction: Transaction,
    { table, columns, rows, conflict, update, touch }: BulkUpsert<Database, Table, Column>,
  ): Promise<number> => {
    if (rows.length === 0) return 0;
    const names = Object.keys(columns) as Column[];
    const quoted = (list: readonly string[]) => list.map((name) => pg.escapeIdentifier(name)).join(', ');
    const arrays = names.map((name, index) => `$${index + 1}::${columns[name]}[]`).join(', ');
    const set = update.map((name) => `${pg.escapeIdentifier(name)} = excluded.${pg.escapeIdentifier(name)}`);
    if (touch) set.push(`${pg.escapeIdentifier(touch)} = now()`);
    const result = await transaction.query(
      `INSERT INTO ${pg.escapeIdentifier(table)} (${quoted(names)}) SELECT * FROM unnest(${arrays})
       ON CONFLICT (${quoted(conflict)}) DO ${set.length > 0 ? `UPDATE SET ${set.join(', ')}` : 'NOTHING'}`,
      names.map((name) => rows.map((row) => row[name])),
    );
    return result.rowCount ?? 0;
  };
}
