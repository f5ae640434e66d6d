/** What `GET /stats` answers. */
export interface StatisticsReport {
  /** Calls for documents, whatever became of them. */
  calls: number;
  inFlight: number;
  /** The most calls that were open at once, refused ones included. */
  peakInFlight: number;
  /** Different ticket keys asked for. */
  keys: number;
  keysCalledMoreThanOnce: number;
  /** Calls beyond the first of each key. */
  repeatedCalls: number;
  /** Answers by status; `dropped` counts connections that ended before the answer did, on either side. */
  answers: Record<string, number>;
  /** When the first and the last call came in, ISO with milliseconds; null before any. */
  firstCallAt: string | null;
  lastCallAt: string | null;
}

/** Counts calls; a call that is open when the counters are reset still counts as in flight, and as nothing else. */
export class Statistics {
  #inFlight = 0;
  #peakInFlight = 0;
  #calls = 0;
  #answers: Record<string, number> = {};
  #attempts = new Map<string, number>();
  #firstCallAt: string | null = null;
  #lastCallAt: string | null = null;

  /** @returns which call of this key it is, from 1 */
  begin(ticketKey: string): number {
    const attempt = (this.#attempts.get(ticketKey) ?? 0) + 1;
    this.#attempts.set(ticketKey, attempt);
    this.#lastCallAt = new Date().toISOString();
    this.#firstCallAt ??= this.#lastCallAt;
    this.#calls += 1;
    this.#inFlight += 1;
    this.#peakInFlight = Math.max(this.#peakInFlight, this.#inFlight);
    return attempt;
  }

  end(outcome: number | 'dropped'): void {
    this.#inFlight -= 1;
    this.#answers[outcome] = (this.#answers[outcome] ?? 0) + 1;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  reset(): void {
    this.#calls = 0;
    this.#peakInFlight = this.#inFlight;
    this.#answers = {};
    this.#attempts.clear();
    this.#firstCallAt = null;
    this.#lastCallAt = null;
  }

  report(): StatisticsReport {
    let keysCalledMoreThanOnce = 0;
    for (const attempts of this.#attempts.values()) if (attempts > 1) keysCalledMoreThanOnce += 1;
    return {
      calls: this.#calls,
      inFlight: this.#inFlight,
      peakInFlight: this.#peakInFlight,
      keys: this.#attempts.size,
      keysCalledMoreThanOnce,
      repeatedCalls: this.#calls - this.#attempts.size,
      answers: { ...this.#answers },
      firstCallAt: this.#firstCallAt,
      lastCallAt: this.#lastCallAt,
    };
  }
}
