import { isDeepStrictEqual } from 'node:util';
import pg from 'pg';
import { answeredOnce } from '../../contract/answered-once.ts';
import type { Cursor } from '../../contract/cursor.ts';
import { failureTypeOf, ToldError } from '../../contract/errors.ts';
import { heldBack } from '../../contract/held-back.ts';
import type { SetAside } from '../../job/chunks.ts';
import type { RangeReader, ReadRequest } from '../../contract/reader.ts';
import {
  type ChangeCounts,
  countChanges,
  type LogPlace,
  type LogState,
  movePosition,
  noteSeen,
  readLogPlace,
} from '../../ledger/log.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { LogSource } from '../../stores/postgres/log-stream.ts';
import { type LogPosition, positionOf, positionText } from '../../stores/postgres/log-position.ts';
import { freeSlot, logMoment, markLog } from '../../stores/postgres/replication-slot.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import { nothingWritten } from '../tables.ts';
import { Applier } from './apply.ts';
import type { LogBatch } from './batch.ts';
import { requireHome } from './begin.ts';
import { ChangeReader } from './changes.ts';
import type { FollowedTables } from './followed-table.ts';
import { Follower, type Goals, interrupted } from './follower.ts';
import { UnknownLayout } from './layout.ts';
import { anotherSource, isTheSame, lookAtTables } from './look.ts';
import { openTransactions, settle } from './settle.ts';
import { ConstraintsNotMet } from './violations.ts';

/** The stream cannot go on from where it stands. */
export class LogLost extends ToldError {
  override readonly name = 'LogLost';
}

/** How often the ledger is asked how far the stream has committed, in milliseconds. */
const lookMs = 1_000;

/** How often a slot that another connection still reads is tried. */
const mostOpenings = 20;

const objectInUse = '55006';

/** One a slot, whichever page asks. */
const followers = new Map<string, Follower>();

/**
 * By slot, up to where a constraint of the sink that may wait was not met. It does not say by which rows: up to there each
 * constraint is to tell at once, as while the sink is of several moments.
 */
const doubts = new Map<string, LogPosition>();

/**
 * Follows the log for the time of a page.
 *
 * A batch is applied in the transaction that moves the position from where the batch begins; so a batch that was applied
 * already, by an attempt that was thought dead or by another run, is not applied again. The source's slot is confirmed up to
 * what the ledger says, never further.
 */
export class Following implements Pick<RangeReader<LogBatch>, 'next'> {
  readonly #describe: () => Promise<FollowedTables>;
  readonly #followed: () => Promise<FollowedTables>;
  readonly #ledger: Ledger;
  #follower: Follower | undefined;
  #place: Placed | undefined;
  #seen: LogState['seen'] = {};
  #lookedAt = 0;
  #settledAt: LogPosition = 0n as LogPosition;
  #signal: AbortSignal | undefined;

  constructor(ledger: Ledger, followed: () => Promise<FollowedTables>) {
    this.#ledger = ledger;
    this.#describe = followed;
    this.#followed = answeredOnce(() => described(followed));
  }

  async next({ range, after, limit, signal }: ReadRequest): Promise<LogBatch | null> {
    this.#signal = signal;
    const position = this.#follower && after ? at(after) : await this.#open();
    const place = await this.#look();
    const until = range.upper && at(range.upper);
    if (until && position >= until && place.unsettled === 0) {
      // What was altered within this page has left no mark in the log.
      await requireWhole(await described(this.#describe), place, position);
      return null;
    }
    const goals: Goals = {
      until,
      settleFrom: place.unsettled > 0 ? this.#settledAt : null,
      unsettled: place.unsettled,
    };
    return this.#known(() => (this.#follower as Follower).next(position, limit, goals));
  }

  /** Applies a batch. @returns how many of its changes are in the sink. */
  async write(batch: LogBatch, transaction: Transaction, aside?: SetAside): Promise<number> {
    // What was read while it was applied is not told again: the rest alone must not be taken for all of it.
    if (batch.isUsed) throw interrupted('a transaction that is too large to be held was not applied');
    const followed = await this.#followed();
    const { stream, tables } = followed;
    const moved = await movePosition(transaction, stream, batch.after, batch.upper);
    if (batch.settles > 0) return this.#settle(followed, batch, transaction, aside);
    const unsettled = moved.unsettled || at(batch.after) < this.#settledFrom();
    const applier = new Applier({ stream, tables, unsettled, aside }, transaction);
    const counts = await this.#known(() => this.#apply(batch, applier)).catch((error: unknown) => {
      if (error instanceof ConstraintsNotMet) this.#doubt(batch);
      throw error instanceof ConstraintsNotMet ? interrupted(error.message) : error;
    });
    if (batch.rows > 0) await countChanges(transaction, stream, counts);
    // What else was noted within the transaction shows at the next look.
    if (applier.noted > 0) this.#lookedAt = 0;
    return Math.max(0, batch.rows - applier.lacking);
  }

  /** From here on, what the sink has is taken for that of one moment. */
  #settledFrom(): LogPosition {
    const doubted = doubts.get(this.#place?.state.slot ?? '') ?? this.#settledAt;
    return doubted > this.#settledAt ? doubted : this.#settledAt;
  }

  #doubt({ upper }: LogBatch): void {
    if (this.#place) doubts.set(this.#place.state.slot, at(upper));
  }

  async #apply(batch: LogBatch, applier: Applier): Promise<ChangeCounts> {
    const counts = { inserted: 0, updated: 0, deleted: 0, truncated: 0 };
    for await (const changes of batch.changes())
      for (const change of changes) {
        if (batch.isUsed && this.#signal?.aborted)
          throw interrupted('the page was ended within a transaction of the source');
        const applied = applier.add(change);
        if (applied) await applied;
        if (change.kind === 'empty') counts.truncated += change.tables.length;
        else counts[change.kind === 'remove' ? 'deleted' : change.isNew ? 'inserted' : 'updated'] += 1;
      }
    await applier.finish();
    return counts;
  }

  /** Does what takes tables for what they were when this was opened; where they are not any more it is opened again. */
  async #known<Result>(body: () => Promise<Result>): Promise<Result> {
    try {
      return await body();
    } catch (error) {
      if (isAltered(error)) throw interrupted('a sink was altered');
      if (!(error instanceof UnknownLayout)) throw error;
      const followed = await described(this.#describe);
      const place = placed(await readLogPlace(this.#ledger, followed.stream), followed.stream);
      const { seen } = (await requireWhole(followed, place, at(place.cursor))).state;
      if (!isDeepStrictEqual(seen, this.#seen)) throw interrupted(error.message);
      await this.#ledger.transaction((transaction) =>
        noteSeen(transaction, followed.stream, { lost: error.message }),
      );
      throw lost(followed.stream, error.message);
    }
  }

  async #settle(
    followed: FollowedTables,
    batch: LogBatch,
    transaction: Transaction,
    aside: SetAside | undefined,
  ): Promise<number> {
    const { source, stream } = followed;
    this.#lookedAt = 0;
    if (!(await (this.#follower as Follower).isSeen(() => openTransactions(source)))) {
      batch.settled(0);
      return 0;
    }
    const { taken, aside: refused } = await settle(followed, transaction, aside);
    batch.settled(taken + refused);
    // What was read is of a later moment than the rest. What was refused is tried past it.
    const mark = await markLog(source, stream);
    await noteSeen(transaction, stream, { settledAt: positionText(mark) });
    this.#settledAt = mark;
    return taken;
  }

  /** Where the stream stands, by the ledger: asked now and then, and the source is told. */
  async #look(): Promise<Placed> {
    if (this.#place && performance.now() - this.#lookedAt < lookMs) return this.#place;
    const { stream } = await this.#followed();
    this.#place = placed(await readLogPlace(this.#ledger, stream), stream);
    this.#lookedAt = performance.now();
    this.#follower?.confirm(at(this.#place.cursor));
    if (this.#place.unsettled === 0) this.#follower?.unwatch();
    return this.#place;
  }

  /** Begins where the ledger says, with the connection of the page before where that is just there. */
  async #open(): Promise<LogPosition> {
    const followed = await this.#followed();
    const { stream, source, tables } = followed;
    const place = placed(await readLogPlace(this.#ledger, stream), stream);
    await requireHome(this.#ledger, place, place.state.home);
    const position = at(place.cursor);
    this.#settledAt = positionOf(place.state.settledAt ?? '0/0');
    const { slot, publication, stored, seen } = place.state;
    const found = await requireWhole(followed, place, position);
    if (!isDeepStrictEqual(found, { place: place.place, state: { stored, seen } }))
      await this.#ledger.transaction((transaction) =>
        noteSeen(transaction, stream, { place: found.place, ...found.state }),
      );
    this.#seen = found.state.seen;
    this.#follower = followers.get(slot);
    // A connection to a primary that was left behind may be there still.
    const what = `${found.place} ${JSON.stringify(this.#seen)}`;
    if (this.#follower?.isAt(position, what)) return position;
    await this.#follower?.close();
    followers.delete(slot);
    const from = { pool: source, slot, publication, from: position };
    const reader = new ChangeReader(tables, this.#seen);
    this.#follower = await opened(() => Follower.open(from, reader, what), from);
    followers.set(slot, this.#follower);
    return position;
  }
}

/**
 * @returns where the source is, and what its tables are by now.
 * @throws LogLost where the log does not tell all that becomes of the tables; HeldBack until a sink has what its source has
 */
async function requireWhole(followed: FollowedTables, known: Placed, position: LogPosition) {
  const { stream, source } = followed;
  const { place } = await logMoment(source);
  if (!(await isTheSame(source, known, place))) throw lost(stream, anotherSource);
  const { problem, wanted, found } = await lookAtTables(followed, known.state, position);
  if (problem !== null) throw lost(stream, problem);
  if (wanted !== null) throw untilMended(wanted);
  return { place, state: found };
}

function lost(stream: string, why: string): LogLost {
  return new LogLost(
    `${stream} cannot go on: ${why}. Start its next run (run=…), which copies everything again`,
  );
}

/** When it is looked again whether somebody has mended what holds the stream, in seconds. */
const lookAgainSeconds = 2;

/** What was altered since the run began, and can be mended: the step goes on when it is. */
function untilMended(reason: string): Error {
  return heldBack({ reason, retryAfterSeconds: lookAgainSeconds, certain: false });
}

/** Looks up the tables. @throws HeldBack while they are not what can be followed: they were when the run began */
async function described(describe: () => Promise<FollowedTables>): Promise<FollowedTables> {
  try {
    return await describe();
  } catch (error) {
    if (failureTypeOf(error) !== 'JobParametersInvalid') throw error;
    throw untilMended((error as Error).message.replace(nothingWritten, ''));
  }
}

/** Columns or tables that are not there, or of other types than they had. */
function isAltered(error: unknown): boolean {
  return error instanceof pg.DatabaseError && ['42703', '42P01', '42804'].includes(error.code ?? '');
}

/** Opens a follower. Whoever still reads the slot has lost the right to. */
async function opened(open: () => Promise<Follower>, { pool, slot }: LogSource): Promise<Follower> {
  for (let opening = 1; ; opening++) {
    await freeSlot(pool, slot);
    try {
      return await open();
    } catch (error) {
      const isInUse = error instanceof pg.DatabaseError && error.code === objectInUse;
      if (!isInUse || opening >= mostOpenings) throw error;
    }
  }
}

type Placed = LogPlace & { readonly cursor: Cursor; readonly state: NonNullable<LogPlace['state']> };

function placed(place: LogPlace | null, stream: string): Placed {
  if (place && place.cursor !== null && place.state?.copied)
    return { ...place, cursor: place.cursor, state: place.state };
  throw new LogLost(
    `${stream} was rewound or forgotten while it was followed. Start its next run (run=…), which copies everything again`,
  );
}

function at(cursor: Cursor): LogPosition {
  return positionOf(cursor[0] ?? '0/0');
}
