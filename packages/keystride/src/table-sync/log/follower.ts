import { failure } from '../../contract/errors.ts';
import { type LogPosition, positionText } from '../../stores/postgres/log-position.ts';
import { type LogEvent, type LogSource, LogStream } from '../../stores/postgres/log-stream.ts';
import { LogBatch } from './batch.ts';
import type { Change, ChangeReader } from './changes.ts';

/** How long an answer is waited for where nothing comes, in milliseconds. */
const idleMs = 500;

/** Bytes of the log that are held as changes; a transaction with more is applied while it is read. */
const mostBytes = 2 * 1024 * 1024;

/** Changes of such a transaction that are applied at a time. */
const mostGiven = 1_000;

/** A stream that nobody asks for more for so long is closed, in milliseconds. Another worker that wants it does not wait. */
const unusedMs = 60_000;

/** How often a position is moved that nothing but others' changes has moved, in milliseconds. */
const quietMs = 10_000;

/** How often rows are read again that were not taken, in milliseconds. */
const settleMs = 500;

interface OpenTransaction {
  readonly position: LogPosition;
  readonly changes: Change[];
}

/** What a follower must reach, and what it has to do when it has. */
export interface Goals {
  /** The stream ends here; null goes on and on. */
  readonly until: LogPosition | null;
  /** From here on, rows that were not taken are read again; null where there are none. */
  readonly settleFrom: LogPosition | null;
  /** How many they are. */
  readonly unsettled: number;
}

/**
 * Reads the log of one source, and makes batches of whole transactions of it. It outlives the page that has opened it, so
 * that the next one in the same worker need not have the log decoded again; what it has told and nobody has applied is told
 * again.
 */
export class Follower {
  readonly #stream: LogStream;
  readonly #reader: ChangeReader;
  readonly #what: string;
  /** Told last, and perhaps not applied. */
  #told: { readonly after: LogPosition; readonly batch: Promise<LogBatch> } | undefined;
  /** Where the next batch begins. */
  #position: LogPosition;
  /** All up to here was told by the server, and what there was of it is in batches. */
  #heard: LogPosition;
  #open: OpenTransaction | undefined;
  #skipping = false;
  #movedAt = performance.now();
  #settledAt = Number.NEGATIVE_INFINITY;
  #unused: NodeJS.Timeout | undefined;
  #broken = false;
  /** A transaction that is read while it is applied: nobody else reads meanwhile. */
  #large: PromiseWithResolvers<void> | undefined;
  /** Transactions that were told since somebody wants to know: 32 bits of their numbers. */
  #watched: Set<number> | undefined;
  #openBefore: readonly number[] | undefined;

  private constructor(stream: LogStream, reader: ChangeReader, what: string, from: LogPosition) {
    this.#what = what;
    this.#stream = stream;
    this.#reader = reader;
    this.#position = from;
    this.#heard = from;
  }

  /** @param what it is opened for: another text for another log, or for tables that are copied otherwise. */
  static async open(source: LogSource, reader: ChangeReader, what: string): Promise<Follower> {
    return new Follower(await LogStream.open(source), reader, what, source.from);
  }

  /** Whether it can go on from a position, with what it was opened for. */
  isAt(position: LogPosition, what: string): boolean {
    return (
      !this.#broken && what === this.#what && (this.#told?.after === position || this.#position === position)
    );
  }

  /** Lets the source forget what is applied for certain. */
  confirm(position: LogPosition): void {
    this.#stream.confirm(position);
  }

  /**
   * Whether a snapshot that is taken when this has answered shows all that was told. A transaction is in the log before it is
   * seen, by as long as its commit waits for a standby.
   *
   * @param open looks up which transactions are open in the source, by 32 bits of their numbers.
   */
  async isSeen(open: () => Promise<readonly number[]>): Promise<boolean> {
    // From here on those that are told are known; those before are among the ones that are open now, or are seen.
    const watched = (this.#watched ??= new Set());
    this.#openBefore ??= await open();
    const told = new Set([...watched, ...this.#openBefore]);
    return !(await open()).some((transaction) => told.has(transaction));
  }

  /** Ends what `isSeen` has begun. */
  unwatch(): void {
    this.#watched = undefined;
    this.#openBefore = undefined;
  }

  /** What comes after a position: about `limit` changes, fewer where no more have come. */
  next(after: LogPosition, limit: number, goals: Goals): Promise<LogBatch> {
    this.#keep();
    if (this.#told?.after === after) return this.#again(this.#told.batch, limit, goals);
    if (this.#broken || this.#position !== after) throw interrupted(`it is not at ${positionText(after)}`);
    const batch = this.#collect(limit, goals).catch((error: unknown) => {
      this.#broken = true;
      throw error;
    });
    this.#told = { after, batch };
    return batch;
  }

  async close(): Promise<void> {
    this.#broken = true;
    clearTimeout(this.#unused);
    this.#large?.reject(interrupted('it was closed'));
    await this.#stream.close();
  }

  async #again(told: Promise<LogBatch>, limit: number, goals: Goals): Promise<LogBatch> {
    const batch = await told;
    if (batch.isUsed) {
      this.#broken = true;
      throw interrupted('a transaction that is too large to be held was not applied');
    }
    // Nothing was in it: there may be something by now.
    if (this.#position !== this.#told?.after) return batch;
    this.#told = undefined;
    return this.next(this.#position, limit, goals);
  }

  #keep(): void {
    clearTimeout(this.#unused);
    this.#unused = setTimeout(() => void this.close(), unusedMs).unref();
  }

  async #collect(limit: number, goals: Goals): Promise<LogBatch> {
    await this.#large?.promise;
    const after = this.#position;
    if (this.#mayBeSettled(goals))
      return new LogBatch({ after, upper: after }, [], { settles: goals.unsettled });
    const changes: Change[] = [];
    let upper: LogPosition = after;
    let bytes = 0;
    for (;;) {
      const isEmpty = upper === after;
      const event = this.#stream.ready() ?? (await this.#stream.next(isEmpty ? idleMs : 0));
      if (!event) {
        if (!isEmpty) break;
        if (this.#open) continue;
        return this.#nothing(goals);
      }
      const ended = this.#take(event);
      bytes += event.bytes;
      if (ended) {
        for (const change of ended.changes) changes.push(change);
        upper = ended.position;
        if (changes.length >= limit || bytes >= mostBytes) break;
      } else if (bytes >= mostBytes && this.#open) {
        if (isEmpty) return this.#largeOne(this.#open);
        break;
      }
    }
    this.#moveTo(upper);
    return new LogBatch({ after, upper }, changes);
  }

  /** @returns a transaction that has ended with this. */
  #take(event: LogEvent): OpenTransaction | undefined {
    switch (event.kind) {
      case 'begin':
        this.#skipping = event.position <= this.#position;
        this.#watched?.add(event.xid);
        this.#open = { position: event.position, changes: [] };
        return undefined;
      case 'commit': {
        const ended = this.#skipping ? undefined : this.#open;
        this.#open = undefined;
        return ended;
      }
      case 'told':
        // What begins just there is not told yet.
        if (!this.#open && event.position > this.#heard) this.#heard = (event.position - 1n) as LogPosition;
        return undefined;
      default: {
        const change = this.#skipping ? undefined : this.#reader.changeOf(event);
        if (change) this.#open?.changes.push(change);
        return undefined;
      }
    }
  }

  /** A transaction of which only the beginning is here: the rest is read while it is applied. */
  #largeOne(open: OpenTransaction): LogBatch {
    const after = this.#position;
    const large = Promise.withResolvers<void>();
    // Perhaps nobody waits for it.
    large.promise.catch(() => undefined);
    this.#large = large;
    const { changes, position: upper } = open;
    this.#moveTo(upper);
    return new LogBatch({ after, upper }, changes.splice(0), { rest: this.#rest(open, large) });
  }

  async *#rest(open: OpenTransaction, large: PromiseWithResolvers<void>): AsyncGenerator<readonly Change[]> {
    try {
      for (;;) {
        const event = this.#stream.ready() ?? (await this.#stream.next(idleMs));
        const ended = event && this.#take(event);
        if (event && !ended && open.changes.length < mostGiven) continue;
        this.#keep();
        yield open.changes.splice(0);
        if (!ended) continue;
        this.#large = undefined;
        large.resolve();
        return;
      }
    } finally {
      // Where it has not come to its end, nobody can go on from here.
      if (this.#large === large) {
        this.#broken = true;
        large.reject(interrupted('a transaction that is too large to be held was not applied'));
      }
    }
  }

  #mayBeSettled({ settleFrom }: Goals): boolean {
    const now = performance.now();
    if (settleFrom === null || this.#position < settleFrom || now - this.#settledAt < settleMs) return false;
    this.#settledAt = now;
    return true;
  }

  /** Where nothing has come: the position follows the log now and then. */
  async #nothing({ until, settleFrom }: Goals): Promise<LogBatch> {
    const after = this.#position;
    const isWanted = [until, settleFrom].some((goal) => goal !== null && after < goal && this.#heard >= goal);
    const isDue = this.#heard > after && performance.now() - this.#movedAt >= quietMs;
    if (isWanted || isDue) this.#moveTo(this.#heard);
    else await this.#stream.ask();
    return new LogBatch({ after, upper: this.#position });
  }

  #moveTo(position: LogPosition): void {
    if (position > this.#position) this.#movedAt = performance.now();
    this.#position = position;
  }
}

/** The page begins anew with another stream. */
export function interrupted(why: string): Error {
  return failure('Unavailable', `the stream of changes was interrupted: ${why}. It is opened again.`, {
    retryable: true,
  });
}
