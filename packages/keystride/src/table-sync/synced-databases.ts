import type pg from 'pg';

/** The two databases of a sync. */
export interface SyncedDatabases {
  /** Of the table that is copied; only read. */
  readonly source: pg.Pool;
  /** Of the copy, with the ledger. */
  readonly database: pg.Pool;
}
