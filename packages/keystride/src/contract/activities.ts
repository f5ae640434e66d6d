import type { AuditedControl, AuditFacts, ChangedBy } from './audit.ts';
import type { Alert, AlertDelivery, AlertedStep, AlertRequest } from './alerts.ts';
import type {
  BranchPolicy,
  ChunkBounds,
  ChunkPolicy,
  QuietHours,
  RetryPolicy,
  SkipPolicy,
  StepPolicy,
} from './policy.ts';
import type { FailurePlace } from './failure-place.ts';
import type { Counters, Decision, Retries, StepProgress } from './progress.ts';
import type { Pruned, Retention } from './retention.ts';
import type { NotStarted, ResolvedRun, ScheduledJobInput } from './scheduled-job.ts';

/** The claim that an execution holds on its instance; every write to the ledger names it. */
export interface Claim {
  readonly job: string;
  readonly instance: string;
  readonly epoch: number;
  /** The workflow that claimed it; undefined from a build that did not say. */
  readonly owner?: string;
  /** The ledger that it was claimed in; undefined from a build that did not say. */
  readonly ledger?: string;
  /** What a redrive runs again; undefined for a job's own execution. */
  readonly redrives?: RedrivenInstance;
}

/** The instance whose skipped items a redrive runs again. */
export interface RedrivenInstance {
  readonly instance: string;
  /** Those of its job: its steps are run with them. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface OpenJobRequest {
  readonly job: string;
  readonly parameters: unknown;
  readonly workflowId: string;
  readonly runId: string;
  /** The claim that a run before this one held and handed on by continue-as-new. */
  readonly carried: Claim | null;
  /** Who has started it; undefined for a build that did not ask. */
  readonly started?: StartedBy;
}

/** Who has started a run, as far as its workflow can tell. */
export interface StartedBy {
  /** As the caller has said; undefined where nobody has. */
  readonly by?: ChangedBy;
  readonly reason?: string;
  /** It is a part of this workflow, whose start is the one that somebody made. */
  readonly parent?: string;
}

export interface OpenedJob {
  readonly claim: Claim;
  /** Validated, with defaults. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** The same as they may be shown; undefined where none of them is sensitive. */
  readonly shown?: Readonly<Record<string, unknown>>;
  readonly policies: Readonly<Record<string, StepPolicy>>;
  readonly onFailure: 'fail' | 'hold';
  /** The job must not be run again: not even what a ledger that went back has lost. */
  readonly preventRestart?: true;
  /** Undefined for `stop`. */
  readonly onBranchFailure?: BranchPolicy;
  /** Whether the namespace has our search attributes. A server without them must not keep a job from starting. */
  readonly searchAttributes: boolean;
}

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

/** In the details of a failure of 0.1.0: the item that failed. Now it is part of a `FailurePlace`. */
export interface FailedItem {
  readonly failedKey: string;
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

export interface DescribedInstance {
  readonly instance: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly policies: Readonly<Record<string, StepPolicy>>;
}

/** What the ledger knows of an instance. */
export interface FoundInstance {
  readonly instance: string;
  /** How its last execution stands or ended; null when there was none. */
  readonly status: 'running' | JobOutcome | null;
  /** The workflow that ran it last; null when there was none. */
  readonly workflowId: string | null;
  /** What has committed of its own steps, those of jobs that it runs not included. */
  readonly counters: Counters;
  /** Where runs of its job go; undefined where whoever starts it is. */
  readonly taskQueue?: string;
}

/** A run that a schedule asks for, with its dates resolved. */
export interface ScheduledRun extends ResolvedRun {
  /** Why it is not to be started; null when it is. */
  readonly notStarted: NotStarted | null;
  /** Where runs of its job go; undefined where the schedule's action is. */
  readonly taskQueue?: string;
}

export interface TaskletRequest extends HoldableRequest {
  /** The longest that its transaction may take, in seconds. */
  readonly timeoutSeconds: number;
}

export interface CloseStepRequest extends StepRequest {
  /** What a verification has found; a chunk step has none. */
  readonly result?: unknown;
}

export interface CloseJobRequest {
  readonly claim: Claim;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly outcome: JobOutcome;
  /** Why it failed or was stopped. */
  readonly reason?: string;
  /** Where it failed; undefined where it was no step, and from a build that did not say. */
  readonly place?: FailurePlace;
  /** Where it has completed: the steps that the run saw completed. Undefined from a build that did not say. */
  readonly saw?: readonly SeenStep[];
}

/** What became of a closing. */
export interface ClosedJob {
  /** What is to be done again first, in words: the ledger has lost it, and the instance is not closed. */
  readonly behind?: readonly string[];
  /** The steps that have begun, of an execution that has not completed; undefined where they could not be read. */
  readonly steps?: readonly AlertedStep[];
}

/** A control that a run has obeyed, to be entered in the audit. */
export interface ControlEntry {
  readonly control: AuditedControl;
  /** ISO time, by Temporal's clock. */
  readonly at: string;
  /** The update that asked for it; undefined for a cancellation. */
  readonly update?: string;
  /** Undefined where the request does not say: then Temporal is asked who sent it. */
  readonly by?: ChangedBy;
  readonly reason?: string;
  readonly before: AuditFacts;
  readonly after: AuditFacts;
  readonly job: string;
  /** The workflow that the run is a part of. What that one does to it is nobody's wish: it comes to rest with it. */
  readonly parent?: string;
  /** Undefined for a run that has not opened. */
  readonly claim?: Claim;
  readonly workflowId: string;
  readonly runId: string;
}

export interface PruneRequest {
  readonly retention: Retention;
  readonly started: StartedBy;
  readonly workflowId: string;
  readonly runId: string;
}

export type JobOutcome = 'completed' | 'failed' | 'stopped';

/** The activities of the engine. They serve every job. */
export interface EngineActivities {
  /** Validates the parameters, claims the instance and says with which policies it runs. */
  openJob(request: OpenJobRequest): Promise<OpenedJob>;
  /** Validates the parameters and says what they name, without claiming anything. */
  describeInstance(request: {
    readonly job: string;
    readonly parameters: unknown;
  }): Promise<DescribedInstance>;
  /** Validates the parameters and says what the ledger knows of their instance, without claiming it. */
  findInstance(request: { readonly job: string; readonly parameters: unknown }): Promise<FoundInstance>;
  /** Resolves the dates of a scheduled run, validates its parameters and says whether it is to be started. */
  resolveScheduledJob(input: ScheduledJobInput): Promise<ScheduledRun>;
  /** Plans the partitions, or finds the ones that an earlier execution planned. */
  openStep(request: OpenStepRequest): Promise<OpenedStep>;
  /** Goes on with a partition from its checkpoint for at most a page's time. */
  processPage(request: PageRequest): Promise<PartitionState>;
  /** Runs a tasklet; its effect and its result commit together. Returns the result. @throws HeldBack before it has begun */
  runTasklet(request: TaskletRequest): Promise<unknown>;
  /** Compares source and target for at most a page's time. @throws HeldBack before it has begun */
  verifyPage(request: VerificationRequest): Promise<VerificationState>;
  /** What has committed of a step by now. */
  readStep(request: Omit<StepRequest, 'parameters'>): Promise<StepState>;
  /** Whether a step that is throttled is to wait on, and why; null when it may go on. */
  checkGate(request: GateRequest): Promise<Throttled | null>;
  /** Which of these partitions have enough left to be cut in two, the one with most first. */
  findDivisible(request: DivisibleRequest): Promise<readonly number[]>;
  /** Cuts what is left of a partition in two. Answers whether the new partition is there. */
  splitPartition(request: SplitPartitionRequest): Promise<boolean>;
  /** Completes a chunk step whose books balance, or says which partitions of it are not done. */
  closeStep(request: CloseStepRequest): Promise<StepState>;
  /**
   * Releases the instance, and raises the alert of one that has failed. One that has completed is compared with what
   * its run saw first. @throws Fenced, LedgerBehind, OtherLedger
   */
  closeJob(request: CloseJobRequest): Promise<ClosedJob>;
  /** Enters a control that a run has obeyed, once. */
  enterControl(entry: ControlEntry): Promise<void>;
  /** Gives up what the ledger no longer has to keep. Returns what its last attempt has given up. */
  pruneLedger(request: PruneRequest): Promise<Pruned>;
  /** Tells the operators, where they want to be told. */
  raiseAlert(request: AlertRequest): Promise<void>;
  /** Posts an alert to its webhook. */
  deliverAlert(alert: Alert): Promise<AlertDelivery>;
}
