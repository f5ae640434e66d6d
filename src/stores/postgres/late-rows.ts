import { sql } from 'kysely';
import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import type { ReadPlan, Reader } from '../../contract/reader.ts';
import { writtenSince } from './horizon.ts';
import { inRange, keyAlias, type KeyColumn } from './key-columns.ts';
import { describedOnce, type KeyedRows, keysetReader } from './keyset-reader.ts';

/** What to look for below a cursor. */
interface Lateness {
  /** What was copied up to here, inclusive. */
  readonly upTo: Cursor;
  /** The horizon of the copy: see `Moment`. */
  readonly since: string;
}

/**
 * Reads the rows below a cursor that were written since a horizon: those whose transaction committed after the cursor
 * had passed their key, however long ago it took the key, and those that were changed.
 *
 * Planning looks at every row below the cursor once, in the database, and returns the range that the late ones are in:
 * usually none, or a narrow one close to the cursor.
 */
export function lateRows<Database, Table extends keyof Database & string, Row>(
  rows: KeyedRows<Database, Table, Row>,
  { upTo, since }: Lateness,
): Reader<Row> {
  const late = { ...rows, query: rows.query.where(writtenSince(rows.table, since)) };
  const keyColumns = describedOnce(rows);
  return {
    ...keysetReader({ ...late, again: rows.query }),
    plan: async () => planLate(late, await keyColumns(), upTo),
  };
}

async function planLate<Database, Table extends keyof Database & string, Row>(
  late: KeyedRows<Database, Table, Row>,
  columns: readonly KeyColumn[],
  upTo: Cursor,
): Promise<ReadPlan> {
  const below = inRange(late.query, columns, { lower: null, upper: upTo })
    .clearSelect()
    .select(columns.map(({ reference }, index) => reference.as(keyAlias(index))))
    .compile();
  const names = columns.map((_, index) => keyAlias(index));
  const end = (direction: string) =>
    `(SELECT array[${names.map((name) => `${name}::text`).join(', ')}] FROM late
       ORDER BY ${names.map((name) => `${name} ${direction}`).join(', ')} LIMIT 1)`;
  const { rows } = await late.pool.query<{ rows: number; first: string[] | null; last: string[] | null }>(
    `WITH late AS MATERIALIZED (${below.sql})
     SELECT (SELECT count(*)::int FROM late) AS rows, ${end('ASC')} AS first, ${end('DESC')} AS last`,
    [...below.parameters],
  );
  const [found] = rows;
  if (!found?.first || !found.last) return { ranges: [], expected: 0 };
  const lower = await keyBefore(late, columns, found.first);
  return { ranges: [{ lower, upper: cursorOf(found.last) }], expected: found.rows };
}

/**
 * The highest key of a table below the one that these values begin; null when there is none.
 *
 * @param values of the key's columns, of the first of them at least.
 */
async function keyBefore<Database, Table extends keyof Database & string, Row>(
  { pool, query }: KeyedRows<Database, Table, Row>,
  columns: readonly KeyColumn[],
  values: readonly string[],
): Promise<Cursor | null> {
  const given = columns.slice(0, values.length);
  const list = (parts: readonly unknown[]) => sql.join([...parts]);
  const before = query
    .clearWhere()
    .clearSelect()
    .select(sql<string[]>`array[${list(columns.map(({ reference }) => sql`${reference}::text`))}]`.as('key'))
    .where(
      sql<boolean>`(${list(given.map(({ reference }) => reference))}) <
        (${list(given.map(({ type }, index) => sql`${values[index]}::${type}`))})`,
    )
    .orderBy(list(columns.map(({ reference }) => sql`${reference} desc`)))
    .limit(1)
    .compile();
  const { rows } = await pool.query<{ key: string[] }>(before.sql, [...before.parameters]);
  return rows[0] ? cursorOf(rows[0].key) : null;
}
