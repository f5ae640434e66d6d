import type { Cursor } from './cursor.ts';
import type { VerificationState } from './step-activities.ts';

/** How far verification steps have come, by name. A step is done when its position is null. */
export type ComparedSteps = Readonly<Record<string, VerificationState>>;

/** What the workflow `verification` takes: it compares what an instance left behind. */
export interface VerificationInput {
  readonly job: string;
  readonly parameters: unknown;
  /** Puts right what differs and compares it once more. @default false: it changes nothing */
  readonly repair?: boolean;
  /** What the workflows have compared that this one continues, as they hand it on; undefined for one that somebody starts. */
  readonly compared?: ComparedSteps;
}

/** What it returns. */
export interface VerificationReport {
  readonly job: string;
  readonly instance: string;
  /** Whether source and target agree, after any repair. */
  readonly verified: boolean;
  readonly compared: number;
  /** Those that are left, and leftovers. */
  readonly differences: number;
  /** Of them: what attempts that died have left, and nothing that committed depends on. Undefined for none. */
  readonly leftovers?: number;
  /** Differences that are no more. */
  readonly repaired: number;
  /** Rows of the target that have no source: those that a repair has removed, or would remove. */
  readonly removed: number;
  readonly removable: number;
  /** The first differences, by key; those that were repaired among them. */
  readonly examples: readonly string[];
}

/** What is missing, extra or different. */
export interface Difference {
  /** One line with the key and what differs; never a row's content. */
  readonly told: string;
  /** The source's item that puts it right when it is run again. */
  readonly rerun?: Cursor;
  /** The target's key that has no source. */
  readonly remove?: Cursor;
  /**
   * What an attempt that died, or was overtaken, has left beside what committed, which does not depend on it: a run that
   * finds it completes all the same. `keystride verify` tells it as a difference.
   */
  readonly leftover?: true;
}

/** What one comparison found, and where the next one begins. */
export interface ComparedPage {
  /** Where the next page goes on, plain data; null when everything is compared. */
  readonly position: unknown;
  readonly compared: number;
  readonly differences: readonly Difference[];
}

/** The work of a verification: compares a part of source and target at a time, and changes nothing. */
export interface Comparison {
  comparePage(position: unknown, limit: number, signal: AbortSignal): Promise<ComparedPage>;
  /**
   * Which keys of the target the source does not have, asked anew and by key. A repair removes no other; without it, what
   * `comparePage` found is removed.
   */
  lacking?(keys: readonly Cursor[], signal: AbortSignal): Promise<readonly Cursor[]>;
  /** Why a repair would do harm: the source may show what it had a while ago. Null where it would not. */
  unrepairable?(): Promise<string | null>;
}
