import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { CallLimiter, ShareCalls } from '../stores/http/call-limiter.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { Ledger } from './ledger.ts';

/** How long a part is held without being renewed, in milliseconds: a worker that is gone leaves it after that. */
const leaseMs = 8_000;

/** How often a part is renewed, in milliseconds: rarely when all have what is theirs, often until then. */
const renewMs = { settled: 2_000, unsettled: 500 };

/** A worker that has made no call for so long gives its part back. In milliseconds. */
const idleMs = 10_000;

/** A worker's part of a budget. */
interface Part {
  /** Calls that it may have out. */
  readonly calls: number;
  /** Workers that share the budget. */
  readonly workers: number;
  /** It has what is its fair part, and no more calls out than that. */
  readonly settled: boolean;
}

/**
 * Divides a number of calls among all workers that call an API at present, each getting the same part. Nobody begins a
 * call without a part, and a part is only given out of what nobody else holds: so there are never more calls out than the
 * budget has, also while workers come, go and die. A newcomer waits for some seconds until the others have given way.
 */
export class CallBudget {
  readonly #ledger: Ledger;
  readonly #calls: CallLimiter;
  readonly #total: number;
  readonly #worker = randomUUID();
  #lastUsed = 0;
  #held = false;
  #running = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #expiry: NodeJS.Timeout | undefined;
  #renewal: Promise<void> = Promise.resolve();

  /**
   * @param database of the ledger, where the parts are written down.
   * @param total calls of the API that all workers may have out at a time.
   */
  constructor(database: pg.Pool, calls: CallLimiter, total: number) {
    this.#ledger = new Ledger(database);
    this.#calls = calls;
    this.#total = total;
    calls.needShare(() => this.#begin());
  }

  /** Gives the part back. Calls that are out must have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#renewal;
    if (this.#held) await this.#leave();
  }

  #begin(): void {
    if (this.#running || this.#closed) return;
    this.#running = true;
    this.#lastUsed = performance.now();
    this.#goOn(0);
  }

  #goOn(afterMs: number): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void (this.#renewal = this.#renew()), afterMs);
    this.#timer.unref();
  }

  async #renew(): Promise<void> {
    const asked = performance.now();
    if (this.#calls.inFlight > 0 || this.#calls.isWaiting) this.#lastUsed = asked;
    if (asked - this.#lastUsed > idleMs) return this.#leave();
    let settled = false;
    try {
      const part = await this.#take();
      settled = part.settled;
      this.#hold(part, asked + leaseMs - performance.now());
    } catch {
      // The part is held until its lease is over. Whoever cannot reach the ledger can commit nothing either.
    }
    this.#goOn(settled ? renewMs.settled : renewMs.unsettled);
  }

  /**
   * Until the lease is over, by our own clock and from before the database wrote it down: ours ends first. A clock of its
   * own, for a ledger may also give no answer for long.
   */
  #hold({ calls, workers }: Part, leftMs: number): void {
    if (leftMs <= 0) return;
    this.#held = true;
    clearTimeout(this.#expiry);
    const expire = () => this.#calls.share(0, 'the ledger that divides the calls is away');
    this.#expiry = setTimeout(expire, leftMs);
    this.#expiry.unref();
    this.#calls.share(calls, `${workers} workers share ${this.#total} calls`);
  }

  #take(): Promise<Part> {
    return this.#ledger.transaction(async (transaction) => {
      const { api } = this.#calls;
      await transaction.query(
        `SELECT pg_advisory_xact_lock(hashtextextended('keystride.call_share ' || $1, 0))`,
        [api],
      );
      await transaction.query(
        'DELETE FROM keystride.call_share WHERE api = $1 AND expires_at < clock_timestamp() AND worker <> $2',
        [api, this.#worker],
      );
      const others = await this.#others(transaction);
      const part = this.#fairPart(others);
      await transaction.query(
        `INSERT INTO keystride.call_share (api, worker, calls, budget, expires_at)
         VALUES ($1, $2, $3, $4, clock_timestamp() + $5 * interval '1 millisecond')
         ON CONFLICT (api, worker) DO UPDATE
            SET calls = excluded.calls, budget = excluded.budget, expires_at = excluded.expires_at`,
        [api, this.#worker, Math.max(part.calls, this.#calls.inFlight), this.#total, leaseMs],
      );
      return part;
    });
  }

  async #others(transaction: Transaction): Promise<readonly { worker: string; calls: number }[]> {
    const { rows } = await transaction.query<{ worker: string; calls: number }>(
      'SELECT worker, calls FROM keystride.call_share WHERE api = $1 AND worker <> $2',
      [this.#calls.api, this.#worker],
    );
    return rows;
  }

  /** The same for all; what cannot be divided goes to the first. No more than the others have left. */
  #fairPart(others: readonly { worker: string; calls: number }[]): Part {
    const workers = others.length + 1;
    const place = others.filter(({ worker }) => worker < this.#worker).length;
    const fair = Math.floor(this.#total / workers) + (place < this.#total % workers ? 1 : 0);
    const left = this.#total - others.reduce((sum, { calls }) => sum + calls, 0);
    const calls = Math.max(0, Math.min(fair, left));
    return { calls, workers, settled: calls === fair && this.#calls.inFlight <= calls };
  }

  async #leave(): Promise<void> {
    this.#calls.share(0, 'nothing was called');
    clearTimeout(this.#expiry);
    this.#running = false;
    this.#held = false;
    await this.#ledger
      .transaction((transaction) =>
        transaction.query('DELETE FROM keystride.call_share WHERE api = $1 AND worker = $2', [
          this.#calls.api,
          this.#worker,
        ]),
      )
      // It expires.
      .catch(() => undefined);
    if (this.#calls.isWaiting) this.#begin();
  }
}

/**
 * Bounds the calls that all workers together have out of one API.
 *
 * @param database of the ledger, where the parts are written down.
 * @param total calls at a time.
 */
export function sharedCalls(database: pg.Pool, total: number): ShareCalls {
  return (calls) => new CallBudget(database, calls, total);
}
