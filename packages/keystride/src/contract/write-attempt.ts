import { ToldError } from './errors.ts';

/** What tells the writes of one attempt from those of every other, in a store that no transaction of ours reaches. */
export interface WriteToken {
  /** Of the execution. */
  readonly epoch: number;
  /** Rises with every attempt to write, over all executions, partitions, redrives and repairs; never the same for two. */
  readonly fence: number;
  /** The ledger that handed it out: the numbers of another one say nothing. Undefined from a build that did not say. */
  readonly ledger?: string;
}

/** One attempt to write to other stores, as a writer's `prepare` is given it. */
export interface WriteAttempt extends WriteToken {
  /**
   * Has something done once the chunk has committed: removing what its writes have replaced, say. A worker that dies
   * before it leaves it undone, and what it throws is only logged.
   */
  afterCommit(work: () => Promise<void>): void;
}

/**
 * Thrown by `prepare` when a store holds what an attempt with a higher number has written, and so has refused a write.
 * Who still holds his place in the ledger tries again above it, and who does not has been overtaken.
 */
export class OvertakenWrite extends ToldError {
  override readonly name = 'OvertakenWrite';
  /** The highest number that was met. */
  readonly fence: number;

  constructor(fence: number) {
    super(`the store holds what a later attempt (fence ${fence}) has written`);
    this.fence = fence;
  }
}
