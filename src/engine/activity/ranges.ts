import { setTimeout as delay } from 'node:timers/promises';
import type { PagePolicy } from '../../contract/activities.ts';
import type { Cursor, KeyRange } from '../../contract/cursor.ts';
import { failureTypeOf } from '../../contract/errors.ts';
import { type Counters, noCounters } from '../../contract/progress.ts';
import type { RowRange } from '../../contract/reader.ts';
import type { ChunkSize } from './chunk-size.ts';
import type { AnySetWork } from './chunks.ts';
import { commitOnce, type Committer } from './commit-once.ts';
import { faultPoint } from './fault-points.ts';
import { advanceCheckpoint, amendCounters } from './ledger/checkpoint.ts';
import { backoff, ItemFailed } from './process-item.ts';

export interface RangesRequest {
  readonly work: AnySetWork;
  readonly range: KeyRange;
  readonly after: Cursor | null;
  readonly policy: PagePolicy;
  /** The commit interval where it moves; undefined for that of the policy. */
  readonly chunkSize?: ChunkSize;
  /** The chunk's transaction. */
  commit(range: RowRange | null, last: boolean): Promise<void>;
}

/** Under a rate, a range holds at most the rows of so many seconds. */
const secondsAtOnce = 0.5;

/** How long a page may outlast its time to keep to a rate, in milliseconds. */
const mostAfterPageMs = 1_000;

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
    let ahead = this.#next(this.#request.after);
    for (let ended = false; !ended;) {
      if (this.#over) return false;
      const { limit, found: next } = await ahead;
      ended = next === null || next.rows < limit;
      // Where the next range ends is looked up while this one is written.
      ahead = ended ? ahead : this.#next(next?.upper ?? null);
      this.#inFlight = next?.rows ?? 0;
      const begun = performance.now();
      await this.#request.commit(next, ended);
      this.#inFlight = 0;
      if (next) this.#request.chunkSize?.took(next.rows, performance.now() - begun);
      if (!ended) await this.#keepPace(limit, begun);
    }
    return true;
  }

  /** The range above a key. Its failure is met when its turn comes. */
  #next(after: Cursor | null): Promise<{ readonly limit: number; readonly found: RowRange | null }> {
    const { work, range } = this.#request;
    const limit = this.#limit();
    const asked = work.reader.next({ range, after, limit, signal: this.#cancel.signal });
    const ahead = asked.then((found) => ({ limit, found }));
    ahead.catch(() => undefined);
    return ahead;
  }

  /** Rows of the next range. Under a rate they are few at a time: what has committed is not taken back. */
  #limit(): number {
    const { chunkSize, policy } = this.#request;
    const { itemsPerSecond = Number.POSITIVE_INFINITY } = policy;
    return Math.min(chunkSize?.present ?? policy.chunkSize, Math.ceil(itemsPerSecond * secondsAtOnce));
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

/**
 * Commits the statements over a range exactly once, with the checkpoint's compare-and-set. A transient error rolls them
 * back and they are tried again.
 *
 * @param seq the checkpoint's sequence number before this chunk; it is one more afterwards.
 * @param range null only marks the end.
 * @returns what has been added to the partition's counters.
 * @throws Fenced, Superseded, or ItemFailed when the retries are used up.
 */
export async function commitRange(
  committer: Committer & { readonly work: AnySetWork },
  seq: number,
  range: RowRange | null,
  last: boolean,
): Promise<Counters> {
  const { policy, classify } = committer;
  for (let attempt = 1; ; attempt++) {
    let counters = noCounters;
    try {
      await commitOnce(committer, seq, async (transaction) => {
        const { key, holder, work } = committer;
        const advance = { cursor: range?.upper ?? null, counters: noCounters, done: last };
        await advanceCheckpoint(transaction, key, holder, seq, advance);
        faultPoint('afterCompareAndSet');
        if (range) counters = countersOf(range, await work.write(range, transaction));
        await amendCounters(transaction, key, counters);
        faultPoint('afterWrites');
      });
      return counters;
    } catch (error) {
      // Our own failures are verdicts, not accidents.
      if (failureTypeOf(error) !== undefined) throw error;
      const found = classify(error);
      if (found.decision !== 'retry' || attempt > policy.retry.retries)
        throw new ItemFailed(error, found, `range up to ${range?.upper.join(',')}`, attempt, 'write', false);
    }
    await delay(backoff(policy.retry, attempt));
  }
}

/** Rows that came into the range after it was measured are written all the same, and count as read. */
function countersOf({ rows }: RowRange, written: number): Counters {
  const read = Math.max(rows, written);
  return { ...noCounters, read, written, filtered: read - written };
}
