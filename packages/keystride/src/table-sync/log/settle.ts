import type pg from 'pg';
import type { Classifier } from '../../contract/classification.ts';
import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import { countTries, readUnsettled, settleRows, type UnsettledRow } from '../../ledger/log.ts';
import { ToldError } from '../../contract/errors.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import type { SyncRow } from '../sync-row.ts';
import { Applier } from './apply.ts';
import type { SetAside } from '../../job/chunks.ts';
import type { RowChange } from './changes.ts';
import type { FollowedTable, FollowedTables } from './followed-table.ts';
import { rowOf } from './refused-rows.ts';

/** Rows that are read again at a time. */
const mostAtOnce = 2_000;

/** After so many times, it is not the moment that keeps a row from being taken. */
const mostTries = 5;

/** A row of the source that the sink does not take, though the stream has settled. */
export class RowNotTaken extends ToldError {
  override readonly name = 'RowNotTaken';
  /** SQLSTATE of the last refusal; null where there was none. */
  readonly code: string | null;

  constructor({ source, key, code }: UnsettledRow & { readonly code: string | null }) {
    super(
      `the sink does not take the row of ${source} with key ${key.join(',')}` +
        `${code === null ? '' : ` (SQLSTATE_${code})`}: a constraint of the sink forbids what the source has`,
    );
    this.code = code;
  }
}

/** By the constraint that forbids it. */
export const classifyNotTaken: Classifier = (error) =>
  error instanceof RowNotTaken && error.code !== null
    ? { decision: 'fail', code: `SQLSTATE_${error.code}` }
    : undefined;

/** Transactions that are open in the source, by 32 bits of their numbers. */
export async function openTransactions(pool: pg.Pool): Promise<readonly number[]> {
  const { rows } = await pool.query<{ open: string[] }>(
    'SELECT array(SELECT (xid::text::numeric % 4294967296)::text FROM pg_snapshot_xip(pg_current_snapshot()) AS xid) AS open',
  );
  return (rows[0]?.open ?? []).map(Number);
}

/**
 * Reads rows again, at the position where the stream stands, and writes them as the source has them, or removes those that it
 * has not. What changes them later is told after the position, and is applied again.
 *
 * @returns how many were taken, and how many set aside.
 * @throws RowNotTaken when a row was not taken again and again, and may not be set aside.
 */
export async function settle(
  { stream, tables }: Pick<FollowedTables, 'stream' | 'tables'>,
  transaction: Transaction,
  aside: SetAside | undefined,
): Promise<{ readonly taken: number; readonly aside: number }> {
  const sources = tables.map(({ source }) => source);
  const rows = await readUnsettled(transaction, stream, sources, mostAtOnce);
  const hopeless = rows.filter(({ tries }) => tries >= mostTries);
  for (const row of hopeless) {
    const error = new RowNotTaken(row);
    if (!aside?.takes(error)) throw error;
    await aside.note(rowOf(tables, row.source, row.key), error);
  }
  const tried = rows.filter((row) => !hopeless.includes(row));
  const applier = new Applier({ stream, tables, unsettled: true, each: true, aside }, transaction);
  for (const table of tables) {
    const keys = tried.filter((row) => row.source === table.source).map(({ key }) => key);
    const items =
      keys.length > 0 ? ((await table.reader.readKeys?.({ keys, signal: neverAborted })) ?? []) : [];
    for (const [index, item] of items.entries()) {
      const key = keys[index] as Cursor;
      if (item && 'error' in item) throw item.error;
      await applier.add(item ? writeOf(table, withoutKeys(item.item)) : { kind: 'remove', table, key });
    }
  }
  await settleRows(transaction, stream, rows);
  await applier.finish();
  await countTries(transaction, stream, tried);
  const { noted, lacking } = applier;
  return {
    taken: Math.max(0, tried.length - lacking),
    aside: hopeless.length + lacking - noted,
  };
}

/** Under its key as the source writes it by now: the row may have been noted under another text. */
function writeOf(table: FollowedTable, row: SyncRow): RowChange {
  return { kind: 'write', table, key: cursorOf(table.sink.key.map((name) => row[name] ?? '')), row };
}

const neverAborted = new AbortController().signal;

/** Readers put the key that they page by beside the columns. */
function withoutKeys(row: SyncRow): SyncRow {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !name.startsWith('keystride_key_')));
}
