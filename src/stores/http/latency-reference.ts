/** What a window of answers took, in milliseconds. */
export interface Latency {
  readonly median: number;
  /** The fastest but a tenth of them. */
  readonly fast: number;
}

/** A rise of less than this is our own noise: a busy processor, a collection of garbage, a connection made. */
const noiseMs = 50;

/** The latency of answers, in milliseconds; undefined when there are too few to say. */
export function latencyOf(milliseconds: readonly number[], least: number): Latency | undefined {
  if (milliseconds.length < least) return undefined;
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * sorted.length)] ?? 0;
  return { median: at(0.5), fast: at(0.1) };
}

/**
 * The best latency that an API has shown, which tells whether calls now wait in its queue. The first answers may have
 * queued among themselves, so the fast ones of them count; afterwards the median of a window does.
 */
export class LatencyReference {
  #best: number | undefined;

  /** In milliseconds; 0 as long as nothing was seen. */
  get best(): number {
    return this.#best ?? 0;
  }

  /** Takes a window into account, and says whether its calls have waited in a queue. */
  look({ median, fast }: Latency): boolean {
    if (this.#best === undefined) {
      // These calls have all begun when fewer were out, and cannot be compared with any others.
      this.#best = fast;
      return false;
    }
    this.#best = Math.min(this.#best, median);
    return this.isQueue(median);
  }

  isQueue(median: number): boolean {
    return median > 2 * this.best + noiseMs;
  }

  /** Fewer calls were not answered any faster: so this is what the API takes now. */
  accept(median: number): void {
    this.#best = median;
  }
}
