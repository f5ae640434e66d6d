import type pg from 'pg';

/** What the ledger holds, all tables of schema `keystride` together. */
export interface LedgerSize {
  readonly rows: number;
  /** On the disk, indexes included. */
  readonly bytes: number;
  /** Versions of rows that nobody sees any more and no vacuum has cleared, as PostgreSQL counts them. */
  readonly deadTuples: number;
  /** How often autovacuum has cleared one of the tables. */
  readonly autovacuums: number;
}

/** Reads how large the ledger of a database is. The rows are counted, not estimated. */
export async function ledgerSizeOf(database: Pick<pg.Client, 'query'>): Promise<LedgerSize> {
  const { rows } = await database.query<LedgerSize>(
    `select sum((xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %I.%I', schemaname, relname),
                  false, true, '')))[1]::text::bigint)::int as rows,
            sum(pg_total_relation_size(relid))::float8 as bytes,
            sum(n_dead_tup)::int as "deadTuples",
            sum(autovacuum_count)::int as autovacuums
       from pg_stat_user_tables where schemaname = 'keystride'`,
  );
  const [size] = rows;
  if (size === undefined) throw new Error('the database has no ledger');
  return size;
}
