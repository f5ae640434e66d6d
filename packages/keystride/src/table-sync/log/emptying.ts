import pg from 'pg';
import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import { quotedTable } from '../../stores/postgres/key-columns.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import type { FollowedTable } from './followed-table.ts';
import type { Tries } from './tries.ts';
import { isNotTruncated } from './violations.ts';

/** Keys that are read at a time. */
const mostKeys = 2_000;

/** Empties tables at once. @returns whether the sink lets it: not where others refer to them, whether they have rows or not */
export async function areEmptied(
  tables: readonly FollowedTable[],
  tries: Tries,
  transaction: Transaction,
): Promise<boolean> {
  const names = tables.map(({ sink }) => quotedTable(sink.table));
  const empty = () => transaction.query(`TRUNCATE ${names.join(', ')}`);
  return (await tries.refusal(empty, isNotTruncated)) === undefined;
}

/** The keys of all rows that a sink has now, some at a time. */
export async function* keysIn(
  { sink }: FollowedTable,
  transaction: Transaction,
): AsyncGenerator<readonly Cursor[]> {
  const key = sink.key.map((name) => `${pg.escapeIdentifier(name)}::text`);
  await transaction.query(
    `DECLARE keystride_emptied NO SCROLL CURSOR FOR SELECT ARRAY[${key.join(', ')}] AS key FROM ${quotedTable(sink.table)}`,
  );
  for (;;) {
    const { rows } = await transaction.query<{ key: string[] }>(`FETCH ${mostKeys} FROM keystride_emptied`);
    if (rows.length === 0) break;
    yield rows.map(({ key: texts }) => cursorOf(texts));
  }
  await transaction.query('CLOSE keystride_emptied');
}
