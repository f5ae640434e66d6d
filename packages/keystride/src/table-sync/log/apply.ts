import type pg from 'pg';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import type { Applying } from './applying.ts';
import type { Change, RowChange } from './changes.ts';
import { areEmptied, keysIn } from './emptying.ts';
import type { FollowedTable } from './followed-table.ts';
import { isInCircle, loosenRemovals, writeLoosely } from './loosening.ts';
import { isWhole, PendingChanges } from './pending.ts';
import { rowOf } from './refused-rows.ts';
import { Tries } from './tries.ts';
import { isBetweenRows, isOfIntegrity, isOfReference, isOfUnique } from './violations.ts';
import { hasFixedKey, hasLooseKey, SinkWriter } from './writing.ts';

/** Changes that are taken together at most. */
const mostTogether = 2_000;

/** So many changes are found one by one among those that are not taken; then their neighbours are noted with them. */
const mostLookedFor = 200;

/** Changes that are noted together then: to look for the one among them would take longer than to read them all again. */
const notedTogether = 50;

/** Rows that are to be removed and wait for the end of their transaction at most. */
const mostRemovals = 250_000;

/** The same where their keys are looked for among those that are written, each time some are. */
const mostLooseRemovals = 20_000;

/**
 * Applies changes to the sink, in the transaction that moves the position.
 *
 * Some thousand at a time are taken together: first the last state of every row that stays, parents first; what was removed
 * comes when all is written, children first. So a foreign key of the sink holds at every statement, where the source's
 * constraints have let it commit. Where one does not hold all the same, because a unique value moved from a row to another,
 * the changes are done once more, in the order of the log, by as large parts as can be. Where tables refer to each other in a
 * circle, or to themselves, rows are written without what closes it before.
 *
 * Whatever the sink may refuse for a row's sake is done in a savepoint. A removal that is refused because others still refer
 * to the row is tried again when all is written.
 */
export class Applier {
  readonly #applying: Applying;
  readonly #writer: SinkWriter;
  readonly #tries: Tries;
  readonly #pending = new PendingChanges();
  /** Removals that were refused because others still refer to the rows: until the end. */
  readonly #late = new PendingChanges();
  /** Those that are pending and not held. */
  #inOrder: RowChange[] = [];
  readonly #mostHeld: number;
  #isEnding = false;
  #aside = 0;
  /** Changes that were found one by one, and are noted or set aside; and removals that wait. */
  #lookedFor = 0;
  #waiting = 0;

  constructor(applying: Applying, transaction: Transaction) {
    this.#applying = applying;
    this.#writer = new SinkWriter(applying.stream, transaction);
    this.#tries = new Tries(this.#writer, applying);
    this.#mostHeld = applying.tables.some(hasLooseKey) ? mostLooseRemovals : mostRemovals;
  }

  /** Rows that were noted to be read again. */
  get noted(): number {
    return this.#writer.noted;
  }

  /** Changes that are not in the sink. */
  get lacking(): number {
    return this.noted + this.#aside;
  }

  /** Gathers a change. @returns what is to be awaited before the next; undefined for most, of which there may be millions */
  add(change: Change): Promise<void> | undefined {
    if (change.kind === 'empty') return this.#empty(change.tables);
    if (!this.#pending.add(change)) return this.#alone(change);
    this.#inOrder.push(change);
    if (this.#inOrder.length < mostTogether) return undefined;
    return this.#flush(this.#pending.removals > this.#mostHeld);
  }

  /** Applies all that was added. @throws ConstraintsNotMet */
  async finish(): Promise<void> {
    await this.#flush(true);
    this.#isEnding = true;
    await this.#take(this.#late.takeHeld(this.#applying.tables));
    await this.#tries.finish();
  }

  async #empty(tables: readonly FollowedTable[]): Promise<void> {
    await this.#flush(true);
    const { transaction } = this.#writer;
    if (await areEmptied(tables, this.#tries, transaction))
      for (const table of tables) this.#late.forget(table);
    else
      for (const table of tables)
        for await (const keys of keysIn(table, transaction))
          for (const key of keys) await this.add({ kind: 'remove', table, key });
  }

  async #alone(change: RowChange): Promise<void> {
    await this.#flush(true);
    await this.#single(change);
  }

  /** Applies what is pending. @param all also what is to be removed; else it is held */
  async #flush(all: boolean): Promise<void> {
    const changes = this.#inOrder;
    this.#inOrder = [];
    const pending = this.#pending;
    if (changes.length === 0 && pending.removals === 0) return;
    if ((await this.#refusalOf(pending, all)) === undefined) return all ? pending.clear() : pending.hold();
    const held = pending.takeHeld(this.#applying.tables);
    await this.#take(held);
    // What these rows have had may be free by now.
    await (held.length > 0 ? this.#take(changes) : this.#halves(changes));
  }

  /** Applies changes by smaller and smaller parts, in their order, until each is taken or is a single one. */
  async #take(changes: readonly RowChange[]): Promise<void> {
    const [only] = changes;
    if (!only) return;
    if (changes.length === 1) return this.#single(only);
    const part = new PendingChanges();
    const together = changes.every((change) => part.add(change));
    if (together && (await this.#refusalOf(part, true)) === undefined) return;
    const areFound = (this.#mayAllWait(changes) ? this.#waiting : this.#lookedFor) >= mostLookedFor;
    if (areFound && changes.length <= notedTogether && !this.#applying.each) return this.#putOff(changes);
    await this.#halves(changes);
  }

  async #halves(changes: readonly RowChange[]): Promise<void> {
    if (changes.length <= 1) return this.#take(changes);
    const middle = Math.ceil(changes.length / 2);
    await this.#take(changes.slice(0, middle));
    await this.#take(changes.slice(middle));
  }

  /** Applies what is pending, or nothing of it: in ways that cost more and more. @returns why it is refused */
  async #refusalOf(pending: PendingChanges, all: boolean): Promise<unknown> {
    const { tables, unsettled } = this.#applying;
    const isCircle = tables.some(isInCircle);
    // Of several moments, a row may refer to one that is not there at all.
    for (let way: Way = { all, loosely: isCircle && unsettled, freed: false }; ;) {
      const tried = way;
      const refused = await this.#tries.refusal(
        () => this.#applyPending(pending, tried),
        // What a row may be without for a moment, a condition of the sink may ask for.
        (error) => tried.freed && isOfIntegrity(error),
      );
      if (isOfReference(refused) && isCircle && !way.loosely) way = { ...way, loosely: true };
      else if (isOfUnique(refused) && pending.isSeveral && !way.freed) way = { ...way, freed: true };
      else return refused;
    }
  }

  async #applyPending(pending: PendingChanges, { all, loosely, freed }: Way): Promise<void> {
    const { tables } = this.#applying;
    const writer = this.#writer;
    for (const table of freed ? tables : []) await writer.freeUnique(table, pending, all);
    if (loosely) await writeLoosely(this.#applying, pending, writer);
    else for (const table of tables) await writer.write(table, pending.writes(table));
    // What has waited was to be removed before these were written.
    for (const one of [pending, this.#late])
      for (const table of one.removals > 0 ? tables : [])
        await writer.keepWritten(table, pending.writes(table), one);
    if (!all) return;
    if (loosely) await loosenRemovals(tables, pending, writer);
    for (const table of tables.toReversed()) await writer.remove(table, pending.removed(table));
  }

  /** Applies one change as the log has it. */
  async #single(change: RowChange): Promise<void> {
    const refused = await this.#refusalOfOne(change);
    if (refused === undefined || (isOfUnique(refused) && (await this.#isTakenAfterLate(change)))) return;
    if (await this.#mayWait(change, refused)) return void (this.#waiting += 1);
    this.#lookedFor += 1;
    if (this.#mayPass(refused)) await this.#note([change], refused.code);
    else await this.#setAside(change, refused);
  }

  /** What only one row may have may be that of a row whose removal waits, and nobody refers to any more. */
  async #isTakenAfterLate(change: RowChange): Promise<boolean> {
    const { removals } = this.#late;
    if (removals === 0) return false;
    await this.#take(this.#late.takeHeld(this.#applying.tables));
    return this.#late.removals < removals && (await this.#refusalOfOne(change)) === undefined;
  }

  async #refusalOfOne(change: RowChange): Promise<unknown> {
    const alone = new PendingChanges();
    if (!alone.add(change)) return this.#tries.refusal(() => this.#move(change));
    if (await this.#isMoved(change)) return undefined;
    return this.#refusalOf(alone, true);
  }

  /** Gives a row another key at its place: beside the row that it was, a unique value of it might be there twice. */
  async #isMoved(change: RowChange): Promise<boolean> {
    if (change.kind === 'remove' || !change.before || !this.#mayMove(change.table)) return false;
    let isThere = false;
    const refused = await this.#tries.refusal(async () => void (isThere = await this.#changeKey(change)));
    return isThere && refused === undefined;
  }

  /**
   * While the sink is of several moments it may have another row under the old key, or under the new one; and a key that
   * numbers itself is never updated.
   */
  #mayMove(table: FollowedTable): boolean {
    return !this.#applying.unsettled && !hasFixedKey(table);
  }

  async #changeKey({ table, key, row, before }: KeyChange): Promise<boolean> {
    if (!before || !(await this.#writer.changeKey(table, row, before))) return false;
    await this.#writer.keepWritten(table, [{ key }], this.#late);
    return true;
  }

  /** Gives a row another key, which takes along what the sink alone has; where that cannot be, the row is read again. */
  async #move(change: RowChange): Promise<void> {
    if (change.kind === 'remove' || !change.before) return;
    const { table, key, before } = change;
    if (!this.#mayMove(table)) await this.#writer.remove(table, [before, key]);
    else if (await this.#changeKey(change)) return;
    await this.#writer.readLater([{ source: table.source, key, code: null }]);
  }

  /** Holds the removal of a row that others still refer to: they may be changed by what comes. @returns whether it is one */
  async #mayWait(change: RowChange, refused: unknown): Promise<boolean> {
    if (this.#isEnding || !isOfReference(refused)) return false;
    const { table, key } = change;
    if (change.kind === 'remove') {
      this.#late.holdRemoval(table, key);
      return true;
    }
    const { before, row } = change;
    if (!before || !isWhole(row)) return false;
    // Before the row is written: it is not to be removed where both keys are one.
    this.#late.holdRemoval(table, before);
    if ((await this.#refusalOfOne({ kind: 'write', table, key, row })) === undefined) return true;
    this.#late.keep(table, [before]);
    return false;
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

  #mayAllWait(changes: readonly RowChange[]): boolean {
    return !this.#isEnding && changes.every(({ kind }) => kind === 'remove');
  }

  /** Changes that are not tried one by one: removals wait for the end, others are read again. */
  #putOff(changes: readonly RowChange[]): Promise<void> | undefined {
    if (!this.#mayAllWait(changes)) return this.#note(changes, null);
    for (const { table, key } of changes) this.#late.holdRemoval(table, key);
    return undefined;
  }

  /** Changes of rows that are read again later. */
  #note(changes: readonly RowChange[], code: string | null): Promise<void> {
    return this.#writer.readLater(
      changes.flatMap((change) => {
        const { source } = change.table;
        const keys = change.kind === 'write' && change.before ? [change.key, change.before] : [change.key];
        return keys.map((key) => ({ source, key, code }));
      }),
    );
  }
}

/** How what is pending is applied. */
interface Way {
  /** What is to be removed is; else it is held. */
  readonly all: boolean;
  /** Rows are written without what closes a circle first. */
  readonly loosely: boolean;
  /** Rows lose their unique values first: these may go from one to another. */
  readonly freed: boolean;
}

type KeyChange = Extract<RowChange, { kind: 'write' }>;
