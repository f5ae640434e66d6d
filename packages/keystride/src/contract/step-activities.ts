import type { StartedBy } from './audit.ts';
import type { Claim } from './claim.ts';
import type { ChunkBounds, ChunkPolicy, QuietHours, RetryPolicy, SkipPolicy, StepPolicy } from './policy.ts';
import type { Counters, Decision, Retries, StepProgress } from './progress.ts';

/** What every request about a step names. */
export interface StepRequest {
  readonly claim: Claim;
  readonly step: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface OpenStepRequest extends StepRequest {
  readonly policy: StepPolicy;
  /** Steps that were seen completed since another was opened: what comes next may need them. */
  readonly saw?: readonly SeenStep[];
  /** The page that does all of the step, where the plan finds it short enough to be done at once; undefined where none may. */
  readonly onlyPage?: PagePolicy;
}

/** A step that a run has seen completed: what the ledger must still hold when the job closes. */
export interface SeenStep {
  readonly step: string;
  readonly kind: StepProgress['kind'];
  /** Completed by this run; else found completed. */
  readonly own: boolean;
  /** What was answered of a chunk step. */
  readonly counters?: Counters;
  /** The instance of a nested job. */
  readonly instance?: string;
}

export interface OpenedStep {
  /** The step has completed in this or an earlier execution; nothing is left to do. */
  readonly completed: boolean;
  readonly result: unknown;
  readonly expected: number | null;
  readonly counters: Counters;
  readonly partitions: readonly { readonly partition: number; readonly done: boolean }[];
  /** See `StepState`; of a step that has completed. */
  readonly unread?: number;
  /** It was completed with its opening; undefined where it was found so. */
  readonly own?: true;
  /** See `PartitionState`; of the page that was done with the opening. */
  readonly decisions?: PartitionState['decisions'];
  readonly retries?: PartitionState['retries'];
}

export interface PageRequest extends StepRequest {
  readonly partition: number;
  readonly policy: PagePolicy;
}

/** The part of a chunk step's policy that one page needs; its concurrency is this partition's share. */
export interface PagePolicy {
  /** The commit interval that it begins with. */
  readonly chunkSize: number;
  /** How the commit interval follows the time that chunks take; undefined when it is fixed. */
  readonly chunkBounds?: ChunkBounds;
  readonly concurrency: number;
  readonly pageSeconds: number;
  readonly durableEvery?: ChunkPolicy['durableEvery'];
  readonly retry: RetryPolicy;
  readonly skipLimit: number;
  readonly skip?: SkipPolicy;
  /** Items started a second, this partition's share; undefined for as many as can be. */
  readonly itemsPerSecond?: number;
  /** Items that an operator has set aside, by key. */
  readonly setAside?: readonly string[];
  /** Times in which nothing of the step runs. */
  readonly quietHours?: readonly QuietHours[];
}

/** Why a page has not gone on, and when to ask again. */
export interface Throttled {
  readonly reason: string;
  /** Seconds after which it may be worth asking; a health that is read again may be better any time. */
  readonly retryAfterSeconds: number;
  /** The time is certain: nothing opens earlier, as at the end of quiet hours. */
  readonly certain: boolean;
}

/** Where a partition stands in the ledger. Cumulative, so nothing is ever summed twice. */
export interface PartitionState {
  readonly partition: number;
  readonly done: boolean;
  readonly counters: Counters;
  /** The commit interval that the page ended with: the next one goes on with it. Undefined when it is fixed. */
  readonly chunkSize?: number;
  /** What the page has decided by itself; undefined for nothing. */
  readonly decisions?: readonly Decision[];
  /** What the page has tried again: that alone, not what pages before it have. Undefined for nothing. */
  readonly retries?: Retries;
  /** The page was throttled, and what is left of the partition is not to run now. */
  readonly throttled?: Throttled;
}

/** What a partition tells its job while it runs: a signal. */
export interface PartitionNews {
  readonly step: string;
  readonly chunkSize?: number;
  readonly decisions: readonly Decision[];
  readonly retries?: Retries;
}

export interface StepState {
  readonly counters: Counters;
  readonly partitionsDone: number;
  /** Partitions that are not done, where the step was to be completed and is not for their sake. */
  readonly unfinished?: readonly number[];
  /** Rows that were counted when the step was planned and were not read; undefined for none, and where it was not counted. */
  readonly unread?: number;
}

/** Asks whether a step that is throttled may go on. */
export interface GateRequest extends Pick<StepRequest, 'claim' | 'step'> {
  readonly quietHours: readonly QuietHours[];
  /** Temporal's time, in milliseconds. */
  readonly now: number;
  /** What it has waited for before it asks, and for how long. Undefined from a build that did not say. */
  readonly waited?: { readonly seconds: number } & Pick<Throttled, 'certain'>;
}

export interface DivisibleRequest extends StepRequest {
  /** The running partitions that are asked about. */
  readonly partitions: readonly number[];
  /** With fewer items left than this a partition stays whole. */
  readonly fewest: number;
}

export interface SplitPartitionRequest extends StepRequest {
  /** The partition to cut; nothing of it must be running that is to commit. */
  readonly partition: number;
  /** The number of the new partition, which gets the upper part. */
  readonly into: number;
  readonly fewest: number;
}

/** What is done as a whole, or page by page without a partition's state. */
export interface HoldableRequest extends StepRequest {
  /** Whoever asks waits when it is throttled, which is the failure `HeldBack`; undefined from a build that does not, whose work is let in. */
  readonly mayBeHeld?: true;
}

export interface VerificationRequest extends HoldableRequest {
  readonly policy: { readonly chunkSize: number; readonly pageSeconds: number };
  readonly state: VerificationState | null;
  /** Puts right what differs. @default false */
  readonly repair?: boolean;
  /** Who has asked for the repair; undefined for a comparison, and from a build that did not ask. */
  readonly started?: StartedBy;
  /** The run that was asked for, which others may have continued since; undefined where none can have. */
  readonly firstRunId?: string;
}

/** How far a database has been written. */
export interface WalMark {
  /** The server and its time line: another one when a standby was promoted. */
  readonly line: string;
  /** In bytes, as text. */
  readonly written: string;
}

/** How far a verification has come, and what it has found. */
export interface VerificationState {
  /** Where the next page goes on, known to the verification alone; null when everything is compared. */
  readonly position: unknown;
  readonly compared: number;
  /** Those that are left. */
  readonly differences: number;
  /** Besides them: what attempts that died have left. Undefined for none. */
  readonly leftovers?: number;
  /** Those that are no more; undefined where nothing was to be repaired. */
  readonly repaired?: number;
  /** What a repair has removed from the target, and what one would remove of what is left. Undefined for none. */
  readonly removed?: number;
  readonly removable?: number;
  /** The first differences, by key: what is missing, extra or different. */
  readonly examples: readonly string[];
  /** The ledger's database when it ended. What was compared, or repaired, in a database that is gone counts for nothing. */
  readonly mark?: WalMark;
}

export interface TaskletRequest extends HoldableRequest {
  /** The longest that its transaction may take, in seconds. */
  readonly timeoutSeconds: number;
}

/** Waits until a step would find something to do. */
export interface DueRequest extends StepRequest {
  /** How often it is looked, for the first time after so long. */
  readonly everySeconds: number;
  /** How long the wait is at most. */
  readonly mostSeconds: number;
}

export interface CloseStepRequest extends StepRequest {
  /** What a verification has found; a chunk step has none. */
  readonly result?: unknown;
}
