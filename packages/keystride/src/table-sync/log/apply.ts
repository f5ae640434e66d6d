import type pg from 'pg';
import type { Cursor } from '../../contract/cursor.ts';
import type { SetAside } from '../../job/chunks.ts';
import { type NotedRow, noteUnsettled, settleRows } from '../../ledger/log.ts';
import { quotedTable } from '../../stores/postgres/key-columns.ts';
import type { LogRow } from '../../stores/postgres/log-stream.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import { changeKey, updateKnown } from '../sink.ts';
import type { SyncRow } from '../sync-row.ts';
import type { Change } from './changes.ts';
import type { FollowedTable } from './followed-table.ts';
import { lackingParents, loosen, withoutLoose } from './loosening.ts';
import { byKnownColumns, isWhole, PendingChanges, type PendingWrite } from './pending.ts';
import { rowOf } from './refused-rows.ts';
import { foreignKeyViolation, isBetweenRows, isOfReference } from './violations.ts';

/** Changes that are taken together at most. */
const mostTogether = 2_000;

/** Rows of one statement at most. */
const mostRows = 2_000;

export interface Applying {
  readonly stream: string;
  /** Those that are followed, parents before the tables that refer to them. */
  readonly tables: readonly FollowedTable[];
  /**
   * What the sink has is of several moments: a constraint that a row violates need not be violated by what the source has.
   * Such a row is noted, and read again later.
   */
  readonly unsettled: boolean;
  /** Takes rows that the sink refuses; undefined where none may be set aside so. */
  readonly aside?: SetAside | undefined;
}

/** So many changes are found one by one among those that are not taken; then their neighbours are noted with them. */
const mostLookedFor = 200;

/** Changes that are noted together then: to look for the one among them would take longer than to read them all again. */
const notedTogether = 50;

/** Rows that are to be removed and wait for the end of their transaction at most. */
const mostRemovals = 250_000;

/**
 * Applies changes to the sink, in the transaction that moves the position.
 *
 * Some thousand at a time are taken together: first the last state of every row that stays, parents first; what was removed
 * comes when all is written, children first. So a foreign key of the sink holds at every statement, where the source's
 * constraints have let it commit. Where one does not hold all the same, because a unique value moved from a row to another,
 * the changes are done once more, in the order of the log, by as large parts as can be. Where tables refer to each other in a
 * circle, or to themselves, rows are written without what closes it before.
 */
export class Applier {
  readonly #applying: Applying;
  readonly #transaction: Transaction;
  readonly #pending = new PendingChanges();
  /** Those that are pending and not held. */
  #inOrder: RowChange[] = [];
  #begun = false;
  #noted = 0;
  #aside = 0;
  #lookedFor = 0;

  constructor(applying: Applying, transaction: Transaction) {
    this.#applying = applying;
    this.#transaction = transaction;
  }

  /** Rows that were noted to be read again. */
  get noted(): number {
    return this.#noted;
  }

  /** Changes that are not in the sink. */
  get lacking(): number {
    return this.#noted + this.#aside;
  }

  async add(change: Change): Promise<void> {
    if (change.kind === 'empty') {
      await this.finish();
      const names = change.tables.map(({ sink }) => quotedTable(sink.table));
      await this.#transaction.query(`TRUNCATE ${names.join(', ')}`);
      return;
    }
    if (!this.#pending.add(change)) {
      await this.finish();
      return this.#single(change);
    }
    this.#inOrder.push(change);
    if (this.#inOrder.length >= mostTogether) await this.#flush(this.#pending.removals > mostRemovals);
  }

  /** Applies all that was added. */
  finish(): Promise<void> {
    return this.#flush(true);
  }

  async #flush(all: boolean): Promise<void> {
    const changes = this.#inOrder;
    this.#inOrder = [];
    const pending = this.#pending;
    if (changes.length === 0 && pending.removals === 0) return;
    const refused = await this.#refusalOf(pending, all);
    if (refused === undefined) return all ? pending.clear() : pending.hold();
    pending.dropAdded();
    await this.#loosenRemovals(pending);
    await this.#removePending(pending);
    pending.clear();
    await this.#inParts(changes);
  }

  /** Applies changes by smaller and smaller parts, in the order of the log, until each is taken or is a single one. */
  async #inParts(changes: readonly RowChange[]): Promise<void> {
    const [only] = changes;
    if (!only) return;
    if (changes.length === 1) return this.#single(only);
    if (this.#lookedFor >= mostLookedFor && changes.length <= notedTogether) return this.#note(changes, null);
    const middle = Math.ceil(changes.length / 2);
    for (const part of [changes.slice(0, middle), changes.slice(middle)]) {
      const pending = new PendingChanges();
      const together = part.length > 1 && part.every((change) => pending.add(change));
      if (together && (await this.#refusalOf(pending, true)) === undefined) continue;
      await this.#inParts(part);
    }
  }

  /** Applies what is pending, or nothing of it. @returns why it is refused */
  async #refusalOf(pending: PendingChanges, all: boolean): Promise<unknown> {
    const { tables, unsettled } = this.#applying;
    const isCircle = tables.some(isInCircle);
    // Of several moments, a row may refer to one that is not there at all.
    const refused =
      isCircle && unsettled ? undefined : await this.#refusal(() => this.#applyPending(pending, all));
    if (!isCircle || !(unsettled || isOfReference(refused))) return refused;
    return this.#refusal(() => this.#applyLoosely(pending, all));
  }

  async #applyPending(pending: PendingChanges, all: boolean): Promise<void> {
    for (const table of this.#applying.tables) await this.#write(table, pending.writes(table));
    if (all) await this.#removePending(pending);
  }

  /**
   * Writes rows without what refers, in a circle, to one that is not there, and once more when all are written. Of several
   * moments, the sink may have no such row at all: then they are noted.
   */
  async #applyLoosely(pending: PendingChanges, all: boolean): Promise<void> {
    const { tables, unsettled } = this.#applying;
    await this.#settleLoose(pending);
    const waiting = new Map<FollowedTable, readonly PendingWrite[]>();
    for (const table of tables) {
      let rows = pending.writes(table);
      if (unsettled) rows = await this.#withParents(table, table.strict, rows);
      const lacking = await this.#lacking(table, table.loose, rows);
      waiting.set(table, [...lacking]);
      await this.#write(
        table,
        rows.map((one) => (lacking.has(one) ? { ...one, row: withoutLoose(table, one.row) } : one)),
      );
    }
    for (const [table, rows] of waiting)
      await this.#write(table, unsettled ? await this.#withParents(table, table.loose, rows) : rows);
    if (!all) return;
    await this.#loosenRemovals(pending);
    await this.#removePending(pending);
  }

  /** Those of the rows whose parents are there. The others are noted. */
  async #withParents(
    table: FollowedTable,
    references: FollowedTable['loose' | 'strict'],
    rows: readonly PendingWrite[],
  ): Promise<readonly PendingWrite[]> {
    const lacking = await this.#lacking(table, references, rows);
    const { source } = table;
    const noted = { source, code: foreignKeyViolation, loose: references === table.loose };
    await this.#readLater(Array.from(lacking, ({ key }) => ({ ...noted, key })));
    return rows.filter((one) => !lacking.has(one));
  }

  async #lacking(
    table: FollowedTable,
    references: FollowedTable['loose' | 'strict'],
    rows: readonly PendingWrite[],
  ): Promise<ReadonlySet<PendingWrite>> {
    const texts = rows.map(({ row }) => row);
    const indexes = await lackingParents(table, references, texts, this.#transaction);
    return new Set(rows.filter((_, index) => indexes.has(index)));
  }

  /** Rows that have lacked a reference get it with these changes, or are noted again. */
  async #settleLoose(pending: PendingChanges): Promise<void> {
    const { stream, tables, unsettled } = this.#applying;
    if (!unsettled) return;
    const rows = tables.filter(isInCircle).flatMap((table) => {
      const keys = [...pending.writes(table).map(({ key }) => key), ...pending.removed(table)];
      return keys.map((key) => ({ source: table.source, key }));
    });
    await settleRows(this.#transaction, stream, rows, { loose: true });
  }

  async #loosenRemovals(pending: PendingChanges): Promise<void> {
    for (const table of this.#applying.tables.filter(isInCircle))
      for (const keys of inBatches(pending.removed(table))) await loosen(table, keys, this.#transaction);
  }

  async #removePending(pending: PendingChanges): Promise<void> {
    for (const table of this.#applying.tables.toReversed()) await this.#remove(table, pending.removed(table));
  }

  async #write(table: FollowedTable, pending: readonly PendingWrite[]): Promise<void> {
    for (const [names, rows] of byKnownColumns(pending)) {
      for (const batch of inBatches(rows)) {
        if (names === null)
          await table.write(
            batch.map(({ row }) => row as SyncRow),
            this.#transaction,
          );
        else await this.#update(table, names, batch);
      }
    }
  }

  /** Rows that are not there are read again: the log alone does not say what is in all their columns. */
  async #update(
    table: FollowedTable,
    names: readonly string[],
    rows: readonly { readonly key: Cursor; readonly row: LogRow }[],
  ): Promise<void> {
    const texts = rows.map(({ row }) => row as SyncRow);
    const missing = await updateKnown(table.sink, names, texts, this.#transaction);
    const { source } = table;
    const gone = rows.filter((_, index) => missing.includes(index));
    await this.#readLater(gone.map(({ key }) => ({ source, key, code: null })));
  }

  async #remove(table: FollowedTable, keys: readonly Cursor[]): Promise<void> {
    for (const batch of inBatches(keys)) await table.remove(batch, this.#transaction);
  }

  /** Applies one change as the log has it. */
  async #single(change: RowChange): Promise<void> {
    const { table, key } = change;
    const apply = async () => {
      if (change.kind === 'remove') return this.#remove(table, [key]);
      const { row, before } = change;
      if (before && !isWhole(row)) return this.#move(table, row, { before, key });
      await this.#write(table, [{ kind: 'write', key, row }]);
      if (before) await this.#remove(table, [before]);
    };
    const alone = new PendingChanges();
    const refused =
      isInCircle(table) && alone.add(change)
        ? await this.#refusalOf(alone, true)
        : await this.#refusal(apply);
    if (refused === undefined) return;
    if (!this.#mayPass(refused)) return this.#setAside(change, refused);
    this.#lookedFor += 1;
    await this.#note([change], refused.code);
  }

  /** Whether the row may be taken later, by what others are then: it is read again before it is set aside for good. */
  #mayPass(refused: unknown): refused is pg.DatabaseError & { readonly code: string } {
    const { unsettled, aside } = this.#applying;
    return isBetweenRows(refused) && (unsettled || aside?.takes(refused) === true);
  }

  /** The sink keeps what it has of the row. */
  async #setAside({ table, key }: RowChange, refused: unknown): Promise<void> {
    const { tables, aside } = this.#applying;
    if (!aside?.takes(refused)) throw refused;
    await aside.note(rowOf(tables, table.source, key), refused);
    this.#aside += 1;
  }

  /**
   * Gives a row another key, which takes along what the sink alone has. While the sink is of several moments it may have
   * another row under the old key, or under the new one: then the row is read again.
   */
  async #move(
    table: FollowedTable,
    row: LogRow,
    { before, key }: Readonly<Record<'before' | 'key', Cursor>>,
  ) {
    const { unsettled } = this.#applying;
    if (unsettled) await this.#remove(table, [before, key]);
    else if (await changeKey(table.sink, row, before, this.#transaction)) return;
    await this.#readLater([{ source: table.source, key, code: null }]);
  }

  /** Changes of rows that are read again later. */
  #note(changes: readonly RowChange[], code: string | null): Promise<void> {
    return this.#readLater(
      changes.flatMap((change) => {
        const { source } = change.table;
        const keys = change.kind === 'write' && change.before ? [change.key, change.before] : [change.key];
        return keys.map((key) => ({ source, key, code }));
      }),
    );
  }

  async #readLater(rows: readonly NotedRow[]): Promise<void> {
    this.#noted += rows.length;
    await noteUnsettled(this.#transaction, this.#applying.stream, rows);
  }

  /** Does something, or nothing of it where the sink refuses one of the rows. @returns why it does */
  async #refusal(body: () => Promise<void>): Promise<unknown> {
    await this.#begin();
    const transaction = this.#transaction;
    const noted = this.#noted;
    const { tables, unsettled } = this.#applying;
    // In a circle, one row alone need not hold.
    const isPart = unsettled && tables.some(({ inCircle }) => inCircle);
    await transaction.query(`SAVEPOINT changes${isPart ? `; ${constraints} DEFERRED` : ''}`);
    try {
      await body();
      await transaction.query(`${isPart ? `${constraints} IMMEDIATE; ` : ''}RELEASE SAVEPOINT changes`);
      return undefined;
    } catch (error) {
      if (!isBetweenRows(error) && this.#applying.aside?.takes(error) !== true) throw error;
      this.#noted = noted;
      await transaction.query('ROLLBACK TO SAVEPOINT changes; RELEASE SAVEPOINT changes');
      return error;
    }
  }

  /** Constraints that may wait do: until COMMIT, where all is as it was in the source; or each is to tell. */
  async #begin(): Promise<void> {
    if (this.#begun) return;
    this.#begun = true;
    await this.#transaction.query(`${constraints} ${this.#applying.unsettled ? 'IMMEDIATE' : 'DEFERRED'}`);
  }
}

type RowChange = Exclude<Change, { kind: 'empty' }>;

const constraints = 'SET CONSTRAINTS ALL';

function isInCircle({ loose }: FollowedTable): boolean {
  return loose.length > 0;
}

function inBatches<Row>(rows: readonly Row[]): readonly (readonly Row[])[] {
  const batches = Math.ceil(rows.length / mostRows);
  return Array.from({ length: batches }, (_, batch) => rows.slice(batch * mostRows, (batch + 1) * mostRows));
}
