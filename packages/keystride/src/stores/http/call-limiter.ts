import { AdaptiveLimit, type CallNumber, type CallOutcome, type LimitChange } from './adaptive-limit.ts';
import { inSpan } from '../../telemetry/traces.ts';
import { isTimeout, HttpStatusError, MalformedBody } from './errors.ts';

/** What a call may wait for. */
export interface CallTurn {
  /** Aborted when a call that has not begun is not to begin any more. */
  readonly waiting: AbortSignal;
  /** From 1; a call that is made again goes before those that are made for the first time. */
  readonly attempt: number;
}

/** A call that is out, and since when. */
interface Begun {
  readonly number: CallNumber;
  readonly at: number;
}

interface Waiter {
  begin(call: Begun): void;
  givenUp: boolean;
}

/** Divides the calls of an API among all workers that call it, see `sharedCalls`; `close` gives this worker's part back. */
export type ShareCalls = (calls: CallLimiter) => { close(): Promise<void> };

/** Told of a change of the limit. */
export type LimitListener = (change: LimitChange) => void;

/** Statuses that say that there were too many calls, or that a call took too long somewhere behind the API. */
const refusals: readonly number[] = [408, 429, 503, 504];

/**
 * Lets as many calls of one API out at a time as it can take, whatever job, step or partition they are for. Calls beyond
 * that wait here, in the order in which they came: jobs share in proportion to what they ask for.
 *
 * A step's concurrency says how many calls the step may have out or waiting; it is never more than that.
 */
export class CallLimiter {
  /** What people call it: `the legacy API`. */
  readonly api: string;
  readonly #adaptive = new AdaptiveLimit();
  /** This worker's part of what all workers may have out. */
  #share = Number.POSITIVE_INFINITY;
  #needShare: (() => void) | undefined;
  readonly #again: Waiter[] = [];
  readonly #first: Waiter[] = [];
  readonly #listeners = new Map<string, LimitListener[]>();

  constructor(api: string) {
    this.api = api;
  }

  /** Calls that may be out at a time; infinite as long as nothing speaks against it. */
  get limit(): number {
    return Math.min(this.#adaptive.limit, this.#share);
  }

  /** Calls that are out. */
  get inFlight(): number {
    return this.#adaptive.inFlight;
  }

  /**
   * Makes a call when it is its turn, and learns from what becomes of it.
   *
   * @param call calls `answered` when the answer begins, if what follows is not the API's time; otherwise its end counts.
   * @throws the reason of `turn.waiting` when that is aborted first, or whatever `call` throws.
   */
  async run<Result>(turn: CallTurn, call: (answered: () => void) => Promise<Result>): Promise<Result> {
    const begun = this.inFlight < this.limit ? this.#begin() : await this.#turnOf(turn);
    let answeredAt: number | undefined;
    let outcome: CallOutcome = { kind: 'unknown' };
    try {
      const answered = () => void (answeredAt = performance.now());
      const result = await inSpan('call', { api: this.api }, () => call(answered));
      outcome = { kind: 'served', milliseconds: (answeredAt ?? performance.now()) - begun.at };
      return result;
    } catch (error) {
      outcome = outcomeOf(error);
      throw error;
    } finally {
      const change = this.#adaptive.end(begun.number, outcome, performance.now());
      if (change) this.#tell(change);
      this.#letOut();
    }
  }

  /** Whether calls wait for their turn. */
  get isWaiting(): boolean {
    return [...this.#again, ...this.#first].some(({ givenUp }) => !givenUp);
  }

  /** From now on nothing is called without a part of what all workers may have out: `ask` is to get one. */
  needShare(ask: () => void): void {
    this.#needShare = ask;
    this.#share = 0;
  }

  /**
   * Gives this worker its part of what all workers may have out at a time.
   *
   * @param reason for people: `2 workers share 80 calls`.
   */
  share(calls: number, reason: string): void {
    if (calls === this.#share) return;
    const from = this.#share;
    this.#share = calls;
    // The first part of a run, and one that is more than the API itself allows, change nothing.
    if (from > 0 && Math.min(from, calls) < this.#adaptive.limit) this.#tell({ from, to: calls, reason });
    this.#letOut();
  }

  /**
   * Tells of changes until the function that it returns is called. Of several listeners for the same thing only the
   * first is told.
   */
  watch(what: string, listener: LimitListener): () => void {
    const listeners = this.#listeners.get(what) ?? [];
    this.#listeners.set(what, listeners);
    listeners.push(listener);
    return () => {
      listeners.splice(listeners.indexOf(listener), 1);
      if (listeners.length === 0 && this.#listeners.get(what) === listeners) this.#listeners.delete(what);
    };
  }

  #tell(change: LimitChange): void {
    for (const [first] of this.#listeners.values()) first?.(change);
  }

  #begin(): Begun {
    const at = performance.now();
    return { number: this.#adaptive.begin(at), at };
  }

  async #turnOf({ waiting, attempt }: CallTurn): Promise<Begun> {
    waiting.throwIfAborted();
    const turn = Promise.withResolvers<Begun>();
    const waiter: Waiter = { begin: turn.resolve, givenUp: false };
    const giveUp = () => {
      waiter.givenUp = true;
      turn.reject(waiting.reason as Error);
    };
    (attempt > 1 ? this.#again : this.#first).push(waiter);
    if (this.#share === 0) this.#needShare?.();
    waiting.addEventListener('abort', giveUp, { once: true });
    try {
      return await turn.promise;
    } finally {
      waiting.removeEventListener('abort', giveUp);
    }
  }

  /** Lets out what may go out. A call counts as begun at once: nobody may come in between. */
  #letOut(): void {
    while (this.inFlight < this.limit) {
      const next = this.#again.shift() ?? this.#first.shift();
      if (next === undefined) return;
      if (!next.givenUp) next.begin(this.#begin());
    }
  }
}

/** What an error says about how many calls the API can take. */
function outcomeOf(error: unknown): CallOutcome {
  if (isTimeout(error)) return { kind: 'refused', code: 'time-out' };
  if (error instanceof HttpStatusError) {
    const { status } = error;
    return refusals.includes(status) ? { kind: 'refused', code: `HTTP ${status}` } : { kind: 'served' };
  }
  // A connection that was lost, or never made, may have any cause.
  return { kind: error instanceof MalformedBody ? 'served' : 'unknown' };
}
