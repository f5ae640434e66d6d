import type { Alert, AlertDelivery, AlertedStep, AlertRequest } from './alerts.ts';
import type { AuditedControl, AuditFacts, ChangedBy, StartedBy } from './audit.ts';
import type { Claim } from './claim.ts';
import type { FailurePlace } from './failure-place.ts';
import type { BranchPolicy, StepPolicy } from './policy.ts';
import type { Counters } from './progress.ts';
import type { Pruned, Retention } from './retention.ts';
import type { NotStarted, ResolvedRun, ScheduledJobInput } from './scheduled-job.ts';
import type {
  CloseStepRequest,
  DivisibleRequest,
  DueRequest,
  GateRequest,
  OpenedStep,
  OpenStepRequest,
  PageRequest,
  PartitionState,
  SeenStep,
  SplitPartitionRequest,
  StepRequest,
  StepState,
  TaskletRequest,
  Throttled,
  VerificationRequest,
  VerificationState,
} from './step-activities.ts';

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
  /** Waits until a tasklet would find something to do, as far as its work tells, or looks once. Returns whether it would. */
  awaitDue(request: DueRequest): Promise<boolean>;
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
