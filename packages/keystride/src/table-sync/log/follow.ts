import { isDeepStrictEqual } from 'node:util';
import pg from 'pg';
import { answeredOnce } from '../../contract/answered-once.ts';
import type { Cursor } from '../../contract/cursor.ts';
import { ToldError } from '../../contract/errors.ts';
import type { SetAside } from '../../job/chunks.ts';
import type { RangeReader, ReadPlan, ReadRequest } from '../../contract/reader.ts';
import { type LogPlace, type LogState, movePosition, noteSeen, readLogPlace } from '../../ledger/log.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { LogSource } from '../../stores/postgres/log-stream.ts';
import { type LogPosition, positionOf, positionText } from '../../stores/postgres/log-position.ts';
import { freeSlot, logMoment, markLog } from '../../stores/postgres/replication-slot.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import { Applier } from './apply.ts';
import { cursorAt, type LogBatch } from './batch.ts';
import { anotherSource, type FollowedTables, isTheSame, lookAtSource } from './begin.ts';
import { ChangeReader } from './changes.ts';
import { Follower, type Goals, interrupted } from './follower.ts';
import { openTransactions, settle } from './settle.ts';

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
 * Follows the log for the time of a page.
 *
 * A batch is applied in the transaction that moves the position from where the batch begins; so a batch that was applied
 * already, by an attempt that was thought dead or by another run, is not applied again. The source's slot is confirmed up to
 * what the ledger says, never further.
 */
export class Following implements RangeReader<LogBatch> {
  readonly #describe: () => Promise<FollowedTables>;
  readonly #followed: () => Promise<FollowedTables>;
  readonly #ledger: Ledger;
  readonly #continuous: boolean;
  #follower: Follower | undefined;
  #place: Placed | undefined;
  #lookedAt = 0;
  #settledAt: LogPosition = 0n as LogPosition;
  #signal: AbortSignal | undefined;

  /** @param continuous whether it goes on when it has reached what was in the log when it was planned. */
  constructor(ledger: Ledger, followed: () => Promise<FollowedTables>, continuous: boolean) {
    this.#ledger = ledger;
    this.#describe = followed;
    this.#followed = answeredOnce(followed);
    this.#continuous = continuous;
  }

  async plan(): Promise<ReadPlan> {
    const { source, stream } = await this.#followed();
    const upper = this.#continuous ? null : cursorAt(await markLog(source, stream));
    return { ranges: [{ lower: null, upper }], expected: null };
  }

  async next({ range, after, limit, signal }: ReadRequest): Promise<LogBatch | null> {
    this.#signal = signal;
    const position = this.#follower && after ? at(after) : await this.#open();
    const place = await this.#look();
    const until = range.upper && at(range.upper);
    if (until && position >= until && place.unsettled === 0) {
      // What was altered within this page has left no mark in the log.
      await requireWhole(await this.#describe(), place, position);
      return null;
    }
    const goals: Goals = {
      until,
      settleFrom: place.unsettled > 0 ? this.#settledAt : null,
      unsettled: place.unsettled,
    };
    return (this.#follower as Follower).next(position, limit, goals);
  }

  /** Applies a batch. @returns how many of its changes are in the sink. */
  async write(batch: LogBatch, transaction: Transaction, aside?: SetAside): Promise<number> {
    // What was read while it was applied is not told again: the rest alone must not be taken for all of it.
    if (batch.isUsed) throw interrupted('a transaction that is too large to be held was not applied');
    const followed = await this.#followed();
    const { stream, tables } = followed;
    const moved = await movePosition(transaction, stream, batch.after, batch.upper);
    if (batch.settles > 0) return this.#settle(followed, batch, transaction, aside);
    const unsettled = moved.unsettled || at(batch.after) < this.#settledAt;
    const applier = new Applier({ stream, tables, unsettled, aside }, transaction);
    for await (const change of batch.changes()) {
      if (batch.isUsed && this.#signal?.aborted)
        throw interrupted('the page was ended within a transaction of the source');
      await applier.add(change);
    }
    await applier.finish();
    // What else was noted within the transaction shows at the next look.
    if (applier.noted > 0) this.#lookedAt = 0;
    return Math.max(0, batch.rows - applier.lacking);
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
    const { stream, source, tables, how } = followed;
    const place = placed(await readLogPlace(this.#ledger, stream), stream);
    const position = at(place.cursor);
    this.#settledAt = positionOf(place.state.settledAt ?? '0/0');
    const { slot, publication } = place.state;
    const seen = await requireWhole(followed, place, position);
    if (!isDeepStrictEqual(seen, { place: place.place, stored: place.state.stored }))
      await this.#ledger.transaction((transaction) => noteSeen(transaction, stream, seen));
    this.#follower = followers.get(slot);
    // A connection to a primary that was left behind may be there still.
    const what = `${seen.place} ${how}`;
    if (this.#follower?.isAt(position, what)) return position;
    await this.#follower?.close();
    followers.delete(slot);
    const from = { pool: source, slot, publication, from: position };
    this.#follower = await opened(() => Follower.open(from, new ChangeReader(stream, tables), what), from);
    followers.set(slot, this.#follower);
    return position;
  }
}

/**
 * @returns where the source is, and how the rows of its tables are stored.
 * @throws LogLost where the log does not tell all that becomes of the tables
 */
async function requireWhole(
  { stream, source, how }: FollowedTables,
  known: Placed,
  position: LogPosition,
): Promise<{ readonly place: string; readonly stored: LogState['stored'] }> {
  const { state } = known;
  const { place } = await logMoment(source);
  const { problem, stored } =
    state.how !== how
      ? { ...state, problem: 'its tables, or how they are copied, are others than when it began' }
      : (await isTheSame(source, known, place))
        ? await lookAtSource(source, state, position)
        : { ...state, problem: anotherSource };
  if (problem === null) return { place, stored };
  throw new LogLost(
    `${stream} cannot go on: ${problem}. Start its next run (run=…), which copies everything again`,
  );
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
