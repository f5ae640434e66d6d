import type pg from 'pg';
import type { Cursor } from '../contract/cursor.ts';
import type { Reader } from '../contract/reader.ts';
import type { Since } from '../stores/postgres/horizon.ts';
import type { TableComparison } from '../stores/postgres/hash-comparison.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { CopiedTables } from './copied-tables.ts';
import type { References } from './references.ts';
import type { Sink } from './sink.ts';
import type { SyncRow } from './sync-row.ts';

/** What is copied, and where to. */
export interface Sync {
  /** The name that the offset is kept under: another one for each order in which the rows are read. */
  readonly stream: string;
  readonly source: SyncSource;
  readonly sink: Sink;
  readonly compared: ComparedSync;
  /** What is remembered of both tables, to find what changes without a row being written. */
  readonly tables: CopiedTables;
  /** Which rows of the sink refer to others of it; undefined where none do. */
  readonly references?: References;
}

/** How the two sides are compared, and what differs is put right. */
export interface ComparedSync {
  readonly comparison: TableComparison;
  /** Reads rows again by the key that they are compared by. */
  readonly reader: Reader<SyncRow>;
  /** Removes rows that the source does not have; left out where the sink keeps them. */
  remove?(keys: readonly Cursor[], transaction: Transaction): Promise<number>;
}

/** Where a sync reads. */
export interface SyncSource {
  readonly pool: pg.Pool;
  readonly table: string;
  readonly key: readonly string[];
  /** The rows above an offset; null for all. */
  above(from: Cursor | null): Reader<SyncRow>;
  /** The rows up to an offset that have arrived since the run before. */
  late(upTo: Cursor, since: Since): Reader<SyncRow>;
}
