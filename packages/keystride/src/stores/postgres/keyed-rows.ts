import type { SelectQueryBuilder } from 'kysely';
import type pg from 'pg';
import type { Cursor } from '../../contract/cursor.ts';

/** The rows of a table that a step is about. */
export interface KeyedRows<Database, Table extends keyof Database & string, Row> {
  readonly pool: pg.Pool;
  /** What to read of the table, without order or limit. */
  readonly query: SelectQueryBuilder<Database, Table, Row>;
  readonly table: Table;
  /** A unique, not nullable key of the table, in the order of an index. The last column is its primary key. */
  readonly key: readonly (keyof Database[Table] & string)[];
  /** Plans only keys above this one, exclusive: where an earlier run ended. */
  above?(): Promise<Cursor | null>;
  /** Called when the upper key is frozen and nothing is read yet. */
  onFrozen?(): Promise<void>;
}
