import type { Cursor } from '../../contract/cursor.ts';
import { type NotedRow, noteUnsettled } from '../../ledger/log.ts';
import { quotedTable } from '../../stores/postgres/key-columns.ts';
import type { LogRow } from '../../stores/postgres/log-stream.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import { changeKey, keysOfRows, type SinkTable, updateKnown } from '../sink.ts';
import type { SyncRow } from '../sync-row.ts';
import type { FollowedTable } from './followed-table.ts';
import { byKnownColumns, isWhole, type PendingChanges, type PendingWrite } from './pending.ts';

/** Rows of one statement at most. */
const mostRows = 2_000;

/** Writes rows to the sink, removes them, and notes those that are to be read again. */
export class SinkWriter {
  readonly transaction: Transaction;
  /** Rows that were noted to be read again. */
  noted = 0;
  readonly #stream: string;
  /** By source: see `freeUnique`. */
  readonly #unique = new Map<string, readonly string[]>();

  constructor(stream: string, transaction: Transaction) {
    this.#stream = stream;
    this.transaction = transaction;
  }

  async write(table: FollowedTable, pending: readonly PendingWrite[]): Promise<void> {
    for (const [names, rows] of byKnownColumns(pending)) {
      for (const batch of inBatches(rows)) {
        const texts = batch.map(({ row }) => row as SyncRow);
        if (names === null) await table.write(texts, this.transaction);
        else await this.#update(table, names, batch, texts);
      }
    }
  }

  /** Rows that are not there are read again: the log alone does not say what is in all their columns. */
  async #update(
    table: FollowedTable,
    names: readonly string[],
    rows: readonly PendingWrite[],
    texts: readonly SyncRow[],
  ): Promise<void> {
    const missing = await updateKnown(table.sink, names, texts, this.transaction);
    const { source } = table;
    await this.readLater(missing.map((index) => ({ source, key: rows[index]?.key as Cursor, code: null })));
  }

  async remove(table: FollowedTable, keys: readonly Cursor[]): Promise<void> {
    for (const batch of inBatches(keys)) await table.remove(batch, this.transaction);
  }

  /**
   * Takes from rows of which all is written anew, or that are to be removed, what no other row may have, where it may be null.
   *
   * @param all those that are to be removed, too.
   */
  async freeUnique(table: FollowedTable, pending: PendingChanges, all: boolean): Promise<void> {
    const { sink, source } = table;
    const known = this.#unique.get(source) ?? (await uniqueColumns(sink, this.transaction));
    this.#unique.set(source, known);
    const written = pending.writes(table).flatMap(({ key, row }) => (isWhole(row) ? [{ key }] : []));
    const removed = all ? pending.removed(table).map((key) => ({ key })) : [];
    const rows = known.length === 0 ? [] : [...written, ...removed];
    for (const batch of inBatches(rows))
      await updateKnown(
        sink,
        known,
        keyRows(
          sink,
          batch.map(({ key }) => key),
        ),
        this.transaction,
      );
  }

  /** Gives a row another key, which takes along what the sink alone has. @returns whether it was there */
  changeKey(table: FollowedTable, row: LogRow, before: Cursor): Promise<boolean> {
    return changeKey(table.sink, row, before, this.transaction);
  }

  /**
   * Lets no row be removed that has just been written, whose key a removal has written otherwise: the type of a key may take
   * 1.0 and 1.00 for one.
   */
  async keepWritten(
    table: FollowedTable,
    rows: readonly { readonly key: Cursor }[],
    pending: PendingChanges,
  ): Promise<void> {
    if (rows.length === 0 || pending.removed(table).length === 0) return;
    const written = rows.map(({ key }) => key);
    pending.keep(table, written);
    if (!hasLooseKey(table)) return;
    const removed = pending.removed(table);
    const kept = new Set(await keysOfRows(table.sink, removed, written, this.transaction));
    pending.keep(
      table,
      removed.filter((_, index) => kept.has(index)),
    );
  }

  async readLater(rows: readonly NotedRow[]): Promise<void> {
    this.noted += rows.length;
    await noteUnsettled(this.transaction, this.#stream, rows);
  }
}

/** Whether the sink takes keys that are written differently for one. */
export function hasLooseKey({ sink }: FollowedTable): boolean {
  return sink.columns.some(({ name, loose }) => loose === true && sink.key.includes(name));
}

/** Whether rows of the sink keep the key that they were given first: `GENERATED ALWAYS AS IDENTITY`. */
export function hasFixedKey({ sink }: FollowedTable): boolean {
  return sink.columns.some(({ name, identityAlways }) => identityAlways === true && sink.key.includes(name));
}

/** Rows of which the key is known. */
export function keyRows({ key }: SinkTable, keys: readonly Cursor[]): readonly SyncRow[] {
  return keys.map((texts) => Object.fromEntries(key.map((name, place) => [name, texts[place] ?? ''])));
}

/** Columns that are written, may be null, and stand in an index that lets no two rows have the same. */
async function uniqueColumns(
  { table, columns, key }: SinkTable,
  transaction: Transaction,
): Promise<readonly string[]> {
  const { rows } = await transaction.query<{ name: string }>(
    `SELECT DISTINCT attname::text AS name
       FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey::int2[])
      WHERE indrelid = to_regclass($1) AND (indisunique OR indisexclusion) AND NOT attnotnull`,
    [quotedTable(table)],
  );
  const names = rows.map(({ name }) => name).filter((name) => !key.includes(name));
  return names.filter((name) => columns.some((column) => column.name === name));
}

export function inBatches<Row>(rows: readonly Row[]): readonly (readonly Row[])[] {
  if (rows.length <= mostRows) return rows.length === 0 ? [] : [rows];
  const batches = Math.ceil(rows.length / mostRows);
  return Array.from({ length: batches }, (_, batch) => rows.slice(batch * mostRows, (batch + 1) * mostRows));
}
