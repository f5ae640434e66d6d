import type { Cursor } from '../../contract/cursor.ts';
import type { Reader } from '../../contract/reader.ts';
import type { TableComparison } from '../../stores/postgres/hash-comparison.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import type { Reference } from '../references.ts';
import type { SinkTable } from '../sink.ts';
import type { SyncRow } from '../sync-row.ts';
import type { SyncedDatabases } from '../synced-databases.ts';
import type { PresentTable } from './seen.ts';

/** A foreign key of a sink that leads back to it, over others perhaps, and that a row can be without at first. */
export interface LooseReference extends Reference {
  /** Those of its columns that may be null, and are none of the key. */
  readonly nullable: readonly string[];
}

/** A table that is followed in the log, and its copy. */
export interface FollowedTable {
  /** As the parameters name it. */
  readonly source: string;
  /** A column of the source as the parameters name it. */
  named(column: string): string;
  /** Of the source: it keeps it under another name. */
  readonly oid: string;
  /** Those that are copied. */
  readonly columns: readonly { readonly from: string; readonly to: string }[];
  /** Its key, in the source. */
  readonly key: readonly string[];
  readonly sink: SinkTable;
  /** Whether its sink is one of those that refer to each other in a circle, or to itself. */
  readonly inCircle: boolean;
  readonly loose: readonly LooseReference[];
  /** Foreign keys of the sink to tables that come before it, which a row cannot be without. */
  readonly strict: readonly Reference[];
  /** Looks at both. */
  look(): Promise<PresentTable>;
  /** Reads all its rows, and rows again by their keys. */
  readonly reader: Reader<SyncRow>;
  readonly comparison: TableComparison;
  /** Upserts rows whose every column is known. */
  write(rows: readonly SyncRow[], transaction: Transaction): Promise<void>;
  /** Removes rows by their keys. */
  remove(keys: readonly Cursor[], transaction: Transaction): Promise<number>;
}

/** What is followed, and where to. */
export interface FollowedTables extends SyncedDatabases {
  /** The name that the position is kept under. */
  readonly stream: string;
  /** Parents before the tables that refer to them. */
  readonly tables: readonly FollowedTable[];
}
