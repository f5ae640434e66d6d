/**
 * What to do about an error, as data. A store classifies the errors of its own kind and answers undefined for
 * the others; a job adds what only it knows (that a 404 is expected, say).
 */
export interface ErrorClass {
  /**
   * `retry`: it may pass by itself. `skip`: the item is at fault and is set aside. `fail`: the step ends.
   * An error class that is retried and does not pass becomes `exhausted`.
   */
  readonly decision: 'retry' | 'skip' | 'fail';
  /** Stable and short, for people and for grouping: `NOT_FOUND`, `SQLSTATE_40001`, `TIMEOUT`. */
  readonly code: string;
  /** What becomes of an item whose retries are used up. @default 'fail' */
  readonly exhausted?: 'skip' | 'fail';
  /** The other side asked to wait that long, in milliseconds. */
  readonly retryAfterMs?: number;
  /** The other side is busy, not broken: waiting for it uses up no retry. */
  readonly busy?: boolean;
  /** The service is away rather than the item at fault: when retries are used up, the page is tried again later. */
  readonly unavailable?: boolean;
}

/** Says what an error means for the item or the chunk; undefined for one that it does not know, so that the next is asked. */
export type Classifier = (error: unknown) => ErrorClass | undefined;
