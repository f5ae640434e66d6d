import type pg from 'pg';
import type { SelectQueryBuilder } from 'kysely';
import { type KeyColumn, keyOf } from './key-columns.ts';
import { UnusableQuery } from './query-shape.ts';
import { inTransaction, type Transaction } from './transaction.ts';

/** Text columns of foreign tables of which nothing says how their server sorts them, by their names here and there. */
const unsaidColumns = `
  SELECT attrelid::regclass::text AS table, quote_ident(attname) AS name,
         coalesce((SELECT option_value FROM pg_options_to_table(attfdwoptions) WHERE option_name = 'column_name'), attname)
           AS there
    FROM pg_foreign_table JOIN pg_attribute ON attrelid = ftrelid
   WHERE attnum > 0 AND NOT attisdropped AND attcollation = 'pg_catalog."default"'::regcollation`;

interface UnsaidColumn {
  readonly table: string;
  readonly name: string;
  readonly there: string;
}

/** A plan that leaves to other servers to sort whatever may be left to them: any plan may come to. */
const leavingAllSorts = ['enable_hashjoin', 'enable_nestloop', 'enable_sort', 'enable_incremental_sort']
  .map((setting) => `SET LOCAL ${setting} = off`)
  .join(';');

/**
 * Refuses a query of which another server sorts texts for a page, by a foreign table: it sorts by its own collation, which
 * need not be the one here, and a join that merges, or a page that ends, leaves out what it does not expect there.
 *
 * @throws UnusableQuery
 */
export async function refuseForeignOrder<Database, Table extends keyof Database & string, Row>(
  pool: pg.Pool,
  query: SelectQueryBuilder<Database, Table, Row>,
  columns: readonly KeyColumn[],
): Promise<void> {
  const { rows: unsaid } = await pool.query<UnsaidColumn>(unsaidColumns);
  if (unsaid.length === 0) return;
  const { sql, parameters } = query.orderBy(keyOf(columns)).compile();
  const sorted = sortedElsewhere(await planOf(pool, sql, [...parameters]));
  const found = unsaid.find(({ there }) => sorted.some((order) => namesIn(order).includes(there)));
  if (!found) return;
  const column = `${found.table}.${found.name}`;
  throw new UnusableQuery(
    `the server of the foreign table ${found.table} may sort ${column} for the query, by a collation that is not known here, and ` +
      'rows would be left out where it is another one. Say how it sorts: ALTER FOREIGN TABLE … ALTER COLUMN … TYPE text ' +
      'COLLATE … with the collation that the column has there, or copy the table.',
  );
}

async function planOf(pool: pg.Pool, text: string, values: unknown[]): Promise<string> {
  const explain = async (transaction: Transaction) => {
    await transaction.query(leavingAllSorts);
    return transaction.query<{ 'QUERY PLAN': string }>(`EXPLAIN (VERBOSE, COSTS off) ${text}`, values);
  };
  const { rows } = await inTransaction(pool, explain, { snapshot: true });
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

/** What statements for other servers order by. */
function sortedElsewhere(plan: string): string[] {
  return [...plan.matchAll(/^\s*Remote SQL: .*? ORDER BY (?<order>.*)$/gmu)].map(
    ({ groups }) => groups?.['order'] ?? '',
  );
}

/** The names in a piece of SQL; one in quotes may hold any sign. */
function namesIn(text: string): string[] {
  return [...text.matchAll(/"(?<quoted>(?:[^"]|"")+)"|(?<plain>[\p{L}_][\p{L}\p{N}_$]*)/gu)].map(
    ({ groups }) => groups?.['plain'] ?? (groups?.['quoted'] ?? '').replaceAll('""', '"'),
  );
}
