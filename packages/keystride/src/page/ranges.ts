import { setTimeout as delay } from 'node:timers/promises';
import type { PagePolicy } from '../contract/step-activities.ts';
import { type Cursor, type KeyRange, nameOfKey, sameCursor } from '../contract/cursor.ts';
import { failureTypeOf, ToldError } from '../contract/errors.ts';
import { isCount, kindOf, UnusableAnswer } from '../contract/unusable-answer.ts';
import { awaited } from '../stores/postgres/transaction.ts';
import { type Counters, noCounters } from '../contract/progress.ts';
import type { RowRange } from '../contract/reader.ts';
import type { ChunkSize } from './chunk-size.ts';
import type { AnySetWork } from '../job/chunks.ts';
import { commitOnce, type Committer, isCancelled } from './commit-once.ts';
import { faultPoint } from './fault-points.ts';
import { safeMessage } from './item-errors.ts';
import { inSpan } from '../telemetry/traces.ts';
import type { Committed } from './page-telemetry.ts';
import { advanceCheckpoint, amendCounters, type Lease } from '../ledger/checkpoint.ts';
import { backoff, ItemFailed } from './process-item.ts';
import type { Skip } from '../ledger/skips.ts';
import { rangeSkips } from './range-skips.ts';
import { requireRange } from './usable-read.ts';

export interface RangesRequest {
  readonly work: AnySetWork;
  readonly range: KeyRange;
  readonly after: Cursor | null;
  readonly policy: PagePolicy;
  readonly chunkSize: ChunkSize;
  /** The chunk's transaction. @throws RangeTooLarge */
  commit(range: RowRange | null, last: boolean): Promise<void>;
}

/** Under a rate, a range holds at most the rows of so many seconds. */
const secondsAtOnce = 0.5;

/** How long a page may outlast its time to keep to a rate, in milliseconds. */
const mostAfterPageMs = 1_000;

/** The statements over a range were cancelled, and nothing of it has committed: a smaller one may come through. */
class RangeTooLarge extends ToldError {
  override readonly name = 'RangeTooLarge';
}

/** Moves the rows of a key range through the statements of a set step, one range of `chunkSize` rows after another. */
export class Ranges {
  readonly #request: RangesRequest;
  readonly #cancel = new AbortController();
  #over = false;
  #inFlight = 0;

  constructor(request: RangesRequest) {
    this.#request = request;
  }

  /** Rows that a statement is at work on. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Lets the statements under way commit, and begins no more. */
  stop(reason: 'pageOver' | 'cancelled'): void {
    this.#over = true;
    if (reason === 'cancelled') this.#cancel.abort();
  }

  /** Runs until the range has ended or `stop` was called. @returns whether the range has ended. */
  async run(): Promise<boolean> {
    let { after } = this.#request;
    let ahead = this.#next(after);
    for (let tooLarge = false; ;) {
      // Else a range that is too large for a page's time would be met by the next page, and the one after.
      if (this.#over && (!tooLarge || this.#cancel.signal.aborted)) return false;
      const next = await ahead;
      const ended = next === null || this.#endsWith(next);
      // Where the next range ends is looked up while this one is written.
      ahead = ended ? ahead : this.#next(next.upper);
      if (next && standsStill(next, after)) continue;
      const begun = performance.now();
      tooLarge = !(await this.#commit(next, ended));
      if (tooLarge) {
        ahead = this.#next(after);
        continue;
      }
      if (ended) return true;
      after = next.upper;
      await this.#keepPace(next.rows, begun);
    }
  }

  #endsWith({ open, last, upper }: RowRange): boolean {
    return open !== true && (last === true || sameCursor(upper, this.#request.range.upper));
  }

  /** @returns whether it has committed; not when it is to be tried again with fewer rows. */
  async #commit(range: RowRange | null, last: boolean): Promise<boolean> {
    this.#inFlight = range?.rows ?? 0;
    const begun = performance.now();
    try {
      await this.#request.commit(range, last);
    } catch (error) {
      if (error instanceof RangeTooLarge) return false;
      throw error;
    } finally {
      this.#inFlight = 0;
    }
    if (range && range.rows > 0) this.#request.chunkSize.took(range.rows, performance.now() - begun);
    return true;
  }

  /** The range above a key. Its failure is met when its turn comes. */
  #next(after: Cursor | null): Promise<RowRange | null> {
    const { work, range } = this.#request;
    const asked = { range, after, limit: this.#limit() };
    const { signal } = this.#cancel;
    const ahead = inSpan('read', {}, async () => {
      const found = await work.reader.next({ ...asked, signal });
      requireRange(found, asked);
      return found;
    });
    ahead.catch(() => undefined);
    return ahead;
  }

  /** Rows of the next range. Under a rate they are few at a time: what has committed is not taken back. */
  #limit(): number {
    const { chunkSize, policy } = this.#request;
    const { itemsPerSecond = Number.POSITIVE_INFINITY } = policy;
    const { present, mostAtOnce } = chunkSize;
    return Math.min(present, mostAtOnce, Math.ceil(itemsPerSecond * secondsAtOnce));
  }

  /** A pause that is nearly over is kept at the end of a page too: the next one knows nothing of it. */
  async #keepPace(rows: number, begun: number): Promise<void> {
    const { itemsPerSecond } = this.#request.policy;
    if (itemsPerSecond === undefined) return;
    const due = begun + (rows / itemsPerSecond) * 1000;
    for (let left = due - performance.now(); left > 0; left = due - performance.now()) {
      if (this.#cancel.signal.aborted || (this.#over && left > mostAfterPageMs)) return;
      // Interrupted, it answers at once.
      const { signal } = this.#cancel;
      await delay(Math.min(left, mostAfterPageMs / 4), undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Whoever follows a source has waited, and nothing has come. */
function standsStill({ open, rows, upper }: RowRange, after: Cursor | null): boolean {
  return open === true && rows === 0 && sameCursor(upper, after);
}

/**
 * Commits the statements over a range exactly once, with the checkpoint's compare-and-set. A transient error rolls them
 * back and they are tried again. Those that were cancelled, by their time-out, are not: fewer rows are.
 *
 * @param lease as it is before this chunk.
 * @param range null only marks the end.
 * @returns what the range has added.
 * @throws RangeTooLarge; Fenced, Superseded, or ItemFailed when the retries are used up.
 */
export async function commitRange(
  committer: Committer & {
    readonly work: AnySetWork;
    readonly chunkSize: ChunkSize;
    readonly policy: Pick<PagePolicy, 'retry' | 'durableEvery' | 'skip' | 'skipLimit'>;
  },
  lease: Lease,
  range: RowRange | null,
  last: boolean,
): Promise<Committed> {
  const { policy, classify } = committer;
  // As it was found: whoever is given it may change it.
  const { upper = null, rows = 0 } = range ?? {};
  for (let attempt = 1; ; attempt++) {
    let counters = noCounters;
    let skips: readonly Skip[] = [];
    try {
      await commitOnce(committer, lease, async (transaction) => {
        const { work } = committer;
        const aside = rangeSkips(committer, lease, transaction, attempt);
        ({ skips } = aside);
        const advance = { cursor: upper, counters: noCounters, done: last };
        await advanceCheckpoint(transaction, lease, advance);
        faultPoint('afterCompareAndSet');
        if (range) {
          const written = requireCount(
            await awaited(transaction, 'the set step', () => work.write(range, transaction, aside)),
          );
          counters = countersOf(rows, written, skips.length);
        }
        await amendCounters(transaction, lease, counters);
        faultPoint('afterWrites');
      });
      return { counters, skips };
    } catch (error) {
      // Our own failures are verdicts, not accidents.
      if (failureTypeOf(error) !== undefined) throw error;
      const found = classify(error);
      if (isCancelled(found) && committer.chunkSize.wasCancelled(rows, safeMessage(error)))
        throw new RangeTooLarge(undefined, { cause: error });
      if (found.decision !== 'retry' || attempt > policy.retry.retries)
        throw new ItemFailed(error, found, `range up to ${nameOfKey(upper ?? [])}`, attempt, 'write', false);
      committer.onRetry?.(found);
    }
    await delay(backoff(policy.retry, attempt));
  }
}

/** What a set step says that it has written. @throws UnusableAnswer for anything but a count */
export function requireCount(written: unknown): number {
  if (isCount(written)) return written;
  throw new UnusableAnswer(
    `the set step says that it has written ${kindOf(written)}: it must return the number of rows. Nothing of the range has committed`,
  );
}

/** Rows that came into the range after it was measured are written all the same, and count as read. */
function countersOf(rows: number, written: number, skipped: number): Counters {
  const read = Math.max(rows, written + skipped);
  return { ...noCounters, read, written, skipped, filtered: read - written - skipped };
}
