import { randomInt } from 'node:crypto';
import type pg from 'pg';
import { type SelectQueryBuilder, sql } from 'kysely';
import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import { boundedQuery } from './bounded-query.ts';
import { keyAlias, type KeyColumn, quotedTable } from './key-columns.ts';
import { columnIn } from './sql.ts';
import type { TableFigures } from './table-figures.ts';

/** The keys to cut into ranges. */
export interface CutRequest<Database, Table extends keyof Database & string, Row> {
  readonly pool: pg.Pool;
  readonly table: Table;
  readonly columns: readonly KeyColumn[];
  /** What is read, between the lower end and the frozen upper one. */
  readonly bounded: SelectQueryBuilder<Database, Table, Row>;
  readonly above: Cursor | null;
  readonly upper: Cursor;
  /** At least 2. */
  readonly partitions: number;
  /** Rows that `bounded` matches, about. */
  readonly expected: number;
  readonly figures: TableFigures;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What a sample says of each partition, in blocks: where rows lie in key order, a block counts as one row. Of a table
 * so large that the share hardly matters so many are read; half of so many serve where they are half of all. A range
 * then exceeds twice the mean as rarely as a Poisson variable of mean 128 falls short of 64: once in 10^9 plans.
 */
const blocksPerPartition = 64;

/** Rows that a sample keeps for each partition. */
const rowsPerPartition = 400;

/** Sampling more of a table than this costs as much as reading it. */
const largestShare = 0.5;

/** With fewer keys than this for each partition, a sample says too little. */
const fewestPerPartition = 10;

/** The bits of a place's hash by which rows are left out of a sample. */
const hashBits = 2 ** 20 - 1;

/** A histogram's bounds inside one partition; fewer make partitions that are not even. */
const boundsPerPartition = 4;

/** A query that matches this share of a table at least is taken to be spread as the table is. */
const wholeTable = 0.75;

/**
 * The last key of each range but the last one, strictly increasing: where the ranges hold about as many rows each.
 *
 * From the planner's histogram where it describes what is read; else from a sample of the table's blocks, filtered as
 * the query filters; else by rank, which reads every key and is left for what is small.
 */
export async function cutKeys<Database, Table extends keyof Database & string, Row>(
  request: CutRequest<Database, Table, Row>,
): Promise<Cursor[]> {
  const byHistogram = await histogramCuts(request);
  if (byHistogram) return byHistogram;
  const bySample = await sampledCuts(request);
  return bySample ?? (await rankedCuts(request));
}

/** By the rank of each key that the query matches. Reads them all. */
export async function rankedCuts<Database, Table extends keyof Database & string, Row>(
  request: Pick<CutRequest<Database, Table, Row>, 'pool' | 'columns' | 'bounded' | 'partitions' | 'signal'>,
): Promise<Cursor[]> {
  const { sql: text, parameters } = keysOf(request.bounded, request.columns).compile();
  return (await quantiles(request, text, parameters)).cuts;
}

/** Undefined when the statistics do not describe what is read, or are too coarse for so many partitions. */
async function histogramCuts<Database, Table extends keyof Database & string, Row>(
  request: CutRequest<Database, Table, Row>,
): Promise<Cursor[] | undefined> {
  const { columns, partitions, figures, expected, table, above, upper } = request;
  const [column, ...others] = columns;
  if (!column || others.length > 0 || !figures.statisticsAreFresh) return undefined;
  if (expected < figures.rows * wholeTable) return undefined;
  const bound = `bound${column.collate}`;
  const candidates = `
    SELECT DISTINCT ${bound} AS ${keyAlias(0)}
      FROM pg_class
      JOIN pg_namespace ON pg_namespace.oid = relnamespace
      JOIN pg_stats ON schemaname = nspname AND tablename = relname AND attname = $2 AND NOT inherited,
           unnest(histogram_bounds::text::${column.typeName}[]) AS bound
     WHERE pg_class.oid = to_regclass($1) AND ${bound} < $3::${column.typeName}
           ${above ? `AND ${bound} > $4::${column.typeName}` : ''}`;
  const parameters = [quotedTable(table), column.name, upper[0], ...(above ? [above[0]] : [])];
  const { cuts, total } = await quantiles(request, candidates, parameters);
  return total >= boundsPerPartition * partitions ? cuts : undefined;
}

/**
 * By a sample of the table's blocks. Undefined when so large a share of the table would have to be sampled that reading
 * it all is no dearer.
 *
 * A place names a row in each table of a partitioned one. All of them are therefore sampled by one seed, which takes
 * the blocks of the same numbers in each, and of their rows those that a hash of the place takes: whichever of the
 * tables a place was found in, its rows in the others belong to the sample too, and none is taken twice as often.
 */
export async function sampledCuts<Database, Table extends keyof Database & string, Row>(
  request: Omit<CutRequest<Database, Table, Row>, 'above' | 'upper'>,
): Promise<Cursor[] | undefined> {
  const { bounded, columns, expected, figures, partitions, table } = request;
  if (!figures.mayBeSampled || expected === 0) return undefined;
  const blocks = figures.blocks * Math.min(1, expected / figures.rows);
  const share = blocksPerPartition / (blocksPerPartition + blocks / partitions);
  if (!(share <= largestShare)) return undefined;
  const kept = Math.min(1, (rowsPerPartition * partitions) / (expected * share));
  const seed = randomInt(2 ** 31);
  // Rows are named by their place, so that a plain scan of the table, whatever the query, is never needed.
  const sample = sql`${columnIn(table, 'ctid')} = ANY (ARRAY(
    SELECT ctid FROM ${sql.raw(quotedTable(table))}
           TABLESAMPLE SYSTEM (${sql.lit(share * 100)}) REPEATABLE (${sql.lit(seed)})
     WHERE hashtidextended(ctid, ${sql.lit(seed)}) & ${sql.lit(hashBits)} < ${sql.lit(Math.ceil(kept * hashBits))}))`;
  const sampled = keysOf(bounded.where(sql<boolean>`${sample}`), columns).distinct();
  const { sql: text, parameters } = sampled.compile();
  const { cuts, total } = await quantiles(request, text, parameters);
  return total >= fewestPerPartition * partitions ? cuts : undefined;
}

/** The key's columns alone, as they are: the database is yet to compare them. */
function keysOf<Database, Table extends keyof Database & string, Row>(
  query: SelectQueryBuilder<Database, Table, Row>,
  columns: readonly KeyColumn[],
) {
  return query.clearSelect().select(columns.map(({ reference }, index) => reference.as(keyAlias(index))));
}

/**
 * Cuts distinct keys into parts of as many each, give or take one. The database ranks and compares; the highest key
 * is never a cut, so that the last range is not empty.
 *
 * @param candidates a query of distinct keys, with these parameters.
 * @returns the cuts, and how many keys there were (0 when no cut was found).
 */
async function quantiles(
  {
    pool,
    columns,
    partitions,
    signal,
  }: Pick<CutRequest<never, never, unknown>, 'pool' | 'columns' | 'partitions' | 'signal'>,
  candidates: string,
  parameters: readonly unknown[],
): Promise<{ readonly cuts: Cursor[]; readonly total: number }> {
  const names = columns.map((_, index) => keyAlias(index));
  const { rows } = await boundedQuery<{ key: string[]; total: string }>(
    pool,
    `SELECT array[${names.map((name) => `${name}::text`).join(', ')}] AS key, total
       FROM (SELECT *, row_number() OVER (ORDER BY ${names.join(', ')}) AS rank, count(*) OVER () AS total
               FROM (${candidates}) AS candidate) AS ranked
      WHERE rank < total AND rank * ${partitions} / total > (rank - 1) * ${partitions} / total
      ORDER BY rank`,
    parameters,
    { signal },
  );
  return { cuts: rows.map(({ key }) => cursorOf(key)), total: Number(rows[0]?.total ?? 0) };
}
