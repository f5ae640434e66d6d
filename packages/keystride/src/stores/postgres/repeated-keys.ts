import type pg from 'pg';
import { type SelectQueryBuilder, sql } from 'kysely';
import { type Cursor, cursorOf, type KeyRange, nameOfKey } from '../../contract/cursor.ts';
import { boundedQuery } from './bounded-query.ts';
import { inRange, type KeyColumn, keyOf, UnusableKey } from './key-columns.ts';

/**
 * Refuses rows of which two that follow one another have the same key: joins that multiply the rows of a table.
 *
 * @param places where a row has the texts of its key.
 * @throws UnusableKey
 */
export function refuseRepeated(
  rows: readonly Readonly<Record<string, unknown>>[],
  places: readonly string[],
  table: string,
): void {
  for (let index = 1; index < rows.length; index++) {
    const [before, row] = [rows[index - 1], rows[index]];
    if (!places.every((place) => before?.[place] === row?.[place])) continue;
    const key = nameOfKey(places.map((place) => String(row?.[place])));
    throw new UnusableKey(
      `the query gives the row of ${table} with key ${key} more than once, so its key does not tell its rows apart, and ` +
        'those behind the end of a page would be lost. Join so that each row comes once: by EXISTS, or by a subquery that gives one row.',
    );
  }
}

/** The same for the first row of a range alone and the one behind it, whose keys are all that is read. */
export async function refuseRepeatedFirst<Database, Table extends keyof Database & string, Row>(
  rows: {
    readonly source: {
      readonly pool: pg.Pool;
      readonly query: SelectQueryBuilder<Database, Table, Row>;
      readonly table: Table;
    };
    readonly columns: readonly KeyColumn[];
  },
  { lower, range, signal }: { lower: Cursor | null; range: KeyRange; signal: AbortSignal },
): Promise<void> {
  const { source, columns } = rows;
  const keys = await firstKeys(source, columns, { lower, upper: range.upper }, 2, signal);
  refuseRepeated(
    keys.map((key) => Object.fromEntries(key.entries())),
    Object.keys(columns),
    source.table,
  );
}

/** The first keys of a range, without anything else of their rows. */
export async function firstKeys<Database, Table extends keyof Database & string, Row>(
  { pool, query }: { readonly pool: pg.Pool; readonly query: SelectQueryBuilder<Database, Table, Row> },
  columns: readonly KeyColumn[],
  range: KeyRange,
  count: number,
  signal: AbortSignal,
): Promise<Cursor[]> {
  const texts = sql.join(columns.map(({ reference }) => sql`${reference}::text`));
  const { sql: text, parameters } = inRange(query, columns, range)
    .clearSelect()
    .select(sql<string[]>`ARRAY[${texts}]`.as('key'))
    .orderBy(keyOf(columns))
    .limit(count)
    .compile();
  const { rows } = await boundedQuery<{ key: string[] }>(pool, text, parameters, { signal });
  return rows.map(({ key }) => cursorOf(key));
}
