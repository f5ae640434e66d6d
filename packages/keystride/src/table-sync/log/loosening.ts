import type { Cursor } from '../../contract/cursor.ts';
import { settleRows } from '../../ledger/log.ts';
import type { LogRow } from '../../stores/postgres/log-stream.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import { keyOf, parentsThere, type Reference } from '../references.ts';
import { updateKnown } from '../sink.ts';
import type { SyncRow } from '../sync-row.ts';
import type { Applying } from './applying.ts';
import type { FollowedTable } from './followed-table.ts';
import type { PendingChanges, PendingWrite } from './pending.ts';
import { foreignKeyViolation } from './violations.ts';
import { inBatches, keyRows, type SinkWriter } from './writing.ts';

/*
 * Tables that refer to each other in a circle have no order in which all their rows can be written, or removed. So rows are
 * written without the references that close it, and get them when all are there; and lose them before any is removed.
 */

export function isInCircle({ loose }: FollowedTable): boolean {
  return loose.length > 0;
}

/**
 * Writes rows without what refers, in a circle, to one that is not there, and once more when all are written. Of several
 * moments, the sink may have no such row at all: then they are noted.
 */
export async function writeLoosely(
  { stream, tables, unsettled }: Applying,
  pending: PendingChanges,
  writer: SinkWriter,
): Promise<void> {
  // Rows that have lacked a reference get it with these changes, or are noted again.
  if (unsettled) await settleRows(writer.transaction, stream, rowsIn(tables, pending), { loose: true });
  const waiting = new Map<FollowedTable, readonly PendingWrite[]>();
  for (const table of tables) {
    let rows = pending.writes(table);
    if (unsettled) rows = await withParents(table, table.strict, rows, writer);
    const lacking = await lackingIn(table, table.loose, rows, writer);
    waiting.set(table, [...lacking]);
    await writer.write(
      table,
      rows.map((one) => (lacking.has(one) ? { ...one, row: withoutLoose(table, one.row) } : one)),
    );
  }
  for (const [table, rows] of waiting)
    await writer.write(table, unsettled ? await withParents(table, table.loose, rows, writer) : rows);
}

/** Takes from rows that are to be removed what refers, in a circle, to others. */
export async function loosenRemovals(
  tables: readonly FollowedTable[],
  pending: PendingChanges,
  { transaction }: SinkWriter,
): Promise<void> {
  for (const table of tables.filter(isInCircle))
    for (const keys of inBatches(pending.removed(table))) await loosen(table, keys, transaction);
}

function rowsIn(tables: readonly FollowedTable[], pending: PendingChanges) {
  return tables.filter(isInCircle).flatMap((table) => {
    const keys = [...pending.writes(table).map(({ key }) => key), ...pending.removed(table)];
    return keys.map((key) => ({ source: table.source, key }));
  });
}

/** Those of the rows whose parents are there. The others are noted. */
async function withParents(
  table: FollowedTable,
  references: FollowedTable['loose' | 'strict'],
  rows: readonly PendingWrite[],
  writer: SinkWriter,
): Promise<readonly PendingWrite[]> {
  const lacking = await lackingIn(table, references, rows, writer);
  const { source } = table;
  const noted = { source, code: foreignKeyViolation, loose: references === table.loose };
  await writer.readLater(Array.from(lacking, ({ key }) => ({ ...noted, key })));
  return rows.filter((one) => !lacking.has(one));
}

async function lackingIn(
  table: FollowedTable,
  references: FollowedTable['loose' | 'strict'],
  rows: readonly PendingWrite[],
  { transaction }: SinkWriter,
): Promise<ReadonlySet<PendingWrite>> {
  const texts = rows.map(({ row }) => row);
  const indexes = await lackingParents(table, references, texts, transaction);
  return new Set(rows.filter((_, index) => indexes.has(index)));
}

/** A row without what refers, in a circle, to others. What the log has left out is left out. */
function withoutLoose({ loose }: FollowedTable, row: LogRow): LogRow {
  const known = loose.flatMap(({ nullable }) => nullable.filter((name) => row[name] !== undefined));
  return known.length === 0 ? row : { ...row, ...Object.fromEntries(known.map((name) => [name, null])) };
}

/** The indexes of rows that refer, by some of these references, to one that is not there. */
async function lackingParents(
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

async function loosen(
  { loose, sink }: FollowedTable,
  keys: readonly Cursor[],
  transaction: Transaction,
): Promise<void> {
  const names = [...new Set(loose.flatMap(({ nullable }) => nullable))];
  if (names.length > 0 && keys.length > 0) await updateKnown(sink, names, keyRows(sink, keys), transaction);
}
