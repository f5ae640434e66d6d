import type { Cursor } from '../../contract/cursor.ts';
import type { LogRow } from '../../stores/postgres/log-stream.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import { keyOf, parentsThere, type Reference } from '../references.ts';
import { updateKnown } from '../sink.ts';
import type { SyncRow } from '../sync-row.ts';
import type { FollowedTable } from './followed-table.ts';

/*
 * Tables that refer to each other in a circle have no order in which all their rows can be written, or removed. So rows are
 * written without the references that close it, and get them when all are there; and lose them before any is removed.
 */

/** A row without what refers, in a circle, to others. What the log has left out is left out. */
export function withoutLoose({ loose }: FollowedTable, row: LogRow): LogRow {
  const known = loose.flatMap(({ nullable }) => nullable.filter((name) => row[name] !== undefined));
  return known.length === 0 ? row : { ...row, ...Object.fromEntries(known.map((name) => [name, null])) };
}

/** The indexes of rows that refer, by some of these references, to one that is not there. */
export async function lackingParents(
  { sink }: FollowedTable,
  references: readonly Reference[],
  rows: readonly LogRow[],
  transaction: Transaction,
): Promise<ReadonlySet<number>> {
  const texts = rows.map((row) => row as SyncRow);
  const lacking = new Set<number>();
  for (const reference of rows.length > 0 ? references : []) {
    const there = await parentsThere(sink.columns, reference, texts, transaction);
    for (const [index, row] of texts.entries())
      if (!there.has(index) && keyOf(row, reference.columns) !== undefined) lacking.add(index);
  }
  return lacking;
}

/** Takes from rows what refers, in a circle, to others, before they are removed. */
export async function loosen(
  { loose, sink }: FollowedTable,
  keys: readonly Cursor[],
  transaction: Transaction,
): Promise<void> {
  const names = [...new Set(loose.flatMap(({ nullable }) => nullable))];
  const rows = keys.map((key) => Object.fromEntries(sink.key.map((name, place) => [name, key[place] ?? ''])));
  if (names.length > 0 && rows.length > 0) await updateKnown(sink, names, rows, transaction);
}
