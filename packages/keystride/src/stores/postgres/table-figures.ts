import type pg from 'pg';
import { quotedTable } from './key-columns.ts';

/** What PostgreSQL knows of a table without reading it. */
export interface TableFigures {
  /** Rows, by the planner's estimate from the table's size now. */
  readonly rows: number;
  /** Blocks, those of its partitions and children among them. */
  readonly blocks: number;
  /** Whether `pg_stats` describes it as it is now: no more than a tenth has changed since it was analysed. */
  readonly statisticsAreFresh: boolean;
  /** Whether TABLESAMPLE takes it. */
  readonly mayBeSampled: boolean;
}

/** What the planner expects of a query. */
export interface QueryEstimate {
  readonly rows: number;
  /** In the planner's units: reading a block in sequence costs 1. */
  readonly cost: number;
}

interface Catalogue {
  readonly kind: string;
  readonly members: number;
  readonly blocks: number;
  readonly analysed: number;
  readonly changed: number | null;
}

/** Ordinary tables, partitioned tables and materialised views. */
const sampledKinds: readonly string[] = ['r', 'p', 'm'];

/** The share of a table that may have changed since it was analysed. */
const freshWithin = 0.1;

/** Asks the catalogue and the planner about a table: two short queries, however large it is. */
export async function tableFigures(pool: pg.Pool, table: string): Promise<TableFigures> {
  const { rows: found } = await pool.query<Catalogue>(
    `WITH RECURSIVE family(id) AS (
       SELECT to_regclass($1)::oid UNION ALL SELECT inhrelid FROM pg_inherits JOIN family ON inhparent = id
     )
     SELECT relkind AS kind, reltuples::float8 AS analysed, n_mod_since_analyze::float8 AS changed,
            (SELECT count(*)::int FROM family) AS members,
            (SELECT sum(pg_relation_size(id)) / current_setting('block_size')::int FROM family)::float8 AS blocks
       FROM pg_class LEFT JOIN pg_stat_all_tables ON relid = pg_class.oid
      WHERE pg_class.oid = to_regclass($1)`,
    [quotedTable(table)],
  );
  const catalogue = found[0] ?? { kind: '', members: 1, blocks: 0, analysed: -1, changed: null };
  const { rows } = await estimate(pool, `SELECT FROM ${quotedTable(table)}`, []);
  return {
    rows,
    blocks: catalogue.blocks ?? 0,
    statisticsAreFresh: isFresh(catalogue, rows),
    mayBeSampled: sampledKinds.includes(catalogue.kind),
  };
}

/** Statistics of a table with children cover the children only as of their own analysis; they are not trusted. */
function isFresh({ members, analysed, changed }: Catalogue, rows: number): boolean {
  if (members > 1 || analysed < 0 || changed === null) return false;
  return changed <= rows * freshWithin && Math.abs(rows - analysed) <= rows * freshWithin;
}

/** What the planner expects of a query, without running it. */
export async function estimate(
  pool: pg.Pool,
  query: string,
  parameters: readonly unknown[],
): Promise<QueryEstimate> {
  const { rows } = await pool.query<{
    'QUERY PLAN': [{ Plan: { 'Plan Rows': number; 'Total Cost': number } }];
  }>(`EXPLAIN (FORMAT JSON) ${query}`, [...parameters]);
  const plan = rows[0]?.['QUERY PLAN'][0].Plan;
  return { rows: plan?.['Plan Rows'] ?? 0, cost: plan?.['Total Cost'] ?? 0 };
}
