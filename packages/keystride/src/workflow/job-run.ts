import { allHandlersFinished, condition, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { Claim } from '../contract/claim.ts';
import type { OpenedJob } from '../contract/activities.ts';
import { failure } from '../contract/errors.ts';
import type { Tuning } from '../contract/messages.ts';
import { comparesSides } from '../contract/policy.ts';
import type { JobProgress } from '../contract/progress.ts';
import { isFinal, type JobStatus } from '../contract/states.ts';
import type { VerificationState } from '../contract/step-activities.ts';
import type { ComparedSteps } from '../contract/verification.ts';
import { AuditTrail } from './audit-trail.ts';
import type { CarriedState } from './carried-state.ts';
import { detailsOf } from './details.ts';
import { Holding } from './holding.ts';
import { JobStopped, JobYielded } from './interruption.ts';
import { RunState } from './run-state.ts';
import { SeenSteps } from './seen-steps.ts';
import { publishStatus } from './search-attributes.ts';
import { StepReports } from './step-reports.ts';
import { Throttling } from './throttling.ts';
import { WorkInHand } from './work-in-hand.ts';

/** How often a run goes through its flow again because the ledger has gone back, before it takes that for a fault. */
const mostRewinds = 10;

/**
 * One execution of a job: its state, its progress, and what operators want of it.
 *
 * What is wanted never touches the work itself. It is noted, and whoever has partitions or a nested job running is
 * interrupted; those let their chunks commit, come back, and ask `ready` before they go on.
 */
export class JobRun {
  readonly job: string;
  readonly #startedAt: string;
  /** How far its steps have come. */
  readonly reports: StepReports;
  /** What it is doing, and is to bring to rest. */
  readonly work = new WorkInHand(() => this.mustRest);
  readonly #holding = new Holding();
  readonly #state: RunState;
  #finishedAt: string | null = null;
  #opened: OpenedJob | undefined;
  #pauseWanted = false;
  #stopWanted = false;
  #yieldWanted = false;
  /** A branch of the flow has failed: no more work is to begin in the others. */
  #halted = false;
  #tuning: Tuning;
  /** Keys of items that operators have set aside, by step. */
  readonly #setAside: Record<string, readonly string[]>;
  /** Steps that wait for a gate to open: however many there are, the job is throttled once. */
  readonly throttling = new Throttling(() => this.#settle());
  /** The entries of what operators have wanted. */
  readonly trail = new AuditTrail();
  /** What this run has seen completed. */
  readonly seen = new SeenSteps();
  #rewinds: number;
  #rewound = false;
  /** How far verifications have come that are not at work. */
  #compared: ComparedSteps;
  /** What has been thrown through the flow, which may have caught it. */
  #interruption: JobStopped | JobYielded | undefined;

  constructor(job: string, carried: CarriedState | null) {
    this.job = job;
    this.#startedAt = carried?.startedAt ?? workflowInfo().startTime.toISOString();
    this.#pauseWanted = carried !== null && carried.paused !== null;
    this.#state = new RunState(job, carried?.paused ?? null, () => this.#stateChanged());
    this.#tuning = carried?.tuning ?? {};
    this.#setAside = { ...carried?.setAside };
    this.reports = new StepReports(() => this.#publish(), carried);
    this.#rewinds = carried?.rewinds ?? 0;
    this.#compared = carried?.compared ?? {};
  }

  get opened(): OpenedJob {
    if (!this.#opened)
      throw failure('StepFailed', `${this.job}: a step was asked for before the job was open.`);
    return this.#opened;
  }

  /** Undefined for a run that has not opened. */
  get claim(): Claim | undefined {
    return this.#opened?.claim;
  }

  get status(): JobStatus {
    return this.#state.status;
  }

  /** What a run that continues this one must know. */
  get carried(): CarriedState {
    return {
      startedAt: this.#startedAt,
      paused: this.#pauseWanted ? (this.#state.reason ?? '') : null,
      tuning: this.#tuning,
      setAside: this.#setAside,
      adapted: this.reports.adapted,
      course: this.reports.course,
      ...(this.#rewinds > 0 ? { rewinds: this.#rewinds } : {}),
      // What was compared before the ledger went back may be written once more.
      ...(this.#rewound || Object.keys(this.#compared).length === 0 ? {} : { compared: this.#compared }),
    };
  }

  get tuning(): Tuning {
    return this.#tuning;
  }

  /** Keys of items of a step that operators have set aside. */
  setAside(step: string): readonly string[] {
    return this.#setAside[step] ?? [];
  }

  /** How far a verification has come; null where it begins. It is taken: whoever has failed begins anew. */
  takeCompared(step: string): VerificationState | null {
    const { [step]: taken, ...others } = this.#compared;
    this.#compared = others;
    return taken ?? null;
  }

  /** Keeps how far a verification has come, for the run that continues this one. */
  keepCompared(step: string, state: VerificationState): void {
    this.#compared = { ...this.#compared, [step]: state };
  }

  open(opened: OpenedJob): void {
    this.#opened = opened;
    // Who has stopped it meanwhile goes before.
    if (!this.#stopWanted) this.#state.become(this.#pauseWanted ? 'pausing' : 'running', this.#state.reason);
    this.#publish();
  }

  /** Whether an operator wants the execution to end. */
  get stopWanted(): boolean {
    return this.#stopWanted;
  }

  /** Whether what runs is to come to rest: to wait, to end, or to go on with a new history. */
  get mustRest(): boolean {
    return this.#pauseWanted || this.#mustEnd;
  }

  /** Whether even a step that has begun is to begin no more work. */
  get #mustEnd(): boolean {
    // A job that has failed does not continue as new: the next run would not know of the failure. What its branches
    // have in hand fits in the history, which is far from full when Temporal suggests a new one.
    if (this.#halted) return this.#stopWanted || this.#opened?.onBranchFailure !== 'finish';
    return this.#stopWanted || this.#yieldWanted;
  }

  /**
   * Waits while the job is paused. A step that has begun asks this before each piece of its work.
   *
   * @throws JobStopped, JobYielded when no more work is to begin.
   */
  async ready(): Promise<void> {
    while (this.#pauseWanted && !this.#mustEnd) {
      // Another branch may be what still works: whoever waits here says when the last of it has come to rest.
      const atRest = () => this.work.atRest && this.#state.status === 'pausing';
      if (atRest()) this.#state.become('paused', this.#state.reason);
      await condition(() => !this.#pauseWanted || this.#mustEnd || atRest());
    }
    if (!this.#mustEnd) return;
    this.#interruption =
      this.#stopWanted || this.#halted
        ? new JobStopped(this.#state.reason ?? 'stopped')
        : new JobYielded('the history has grown long');
    throw this.#interruption;
  }

  /**
   * The end of a flow. One that goes on when a step has thrown must not take for done what was stopped.
   *
   * @throws JobStopped, JobYielded when that was thrown to it before; Error when a step waits that the flow has not
   * awaited, which is a fault of the flow and fails the workflow task.
   */
  endFlow(): void {
    if (this.#interruption) throw this.#interruption;
    if (this.#state.allows('completed')) return;
    const waiting = this.work.steps.join(', ');
    throw new Error(
      `The flow of ${this.job} has ended while the job is ${this.status}: it must await every step. In hand: ${waiting}.`,
    );
  }

  /**
   * The same for a step that has not begun: after the failure of another branch none does, whatever the others finish.
   *
   * @throws JobStopped, JobYielded
   */
  async mayBegin(): Promise<void> {
    await this.ready();
    if (this.#halted) throw new JobStopped(this.#state.reason ?? 'stopped');
  }

  /**
   * Lets no more steps begin, and brings what runs to rest unless the job wants it finished: a branch has failed.
   *
   * @returns the steps that the other branches have in hand.
   */
  halt(): readonly string[] {
    this.#halted = true;
    if (this.#mustEnd) this.work.interrupt();
    return this.work.steps;
  }

  /**
   * Waits for an operator to decide about a step that has failed: `resume` tries it again, `skip` sets the items aside
   * that failed, `stop` ends the execution.
   *
   * @throws JobStopped
   */
  hold(reason: string, step: string, items: readonly string[]): Promise<void> {
    return this.#holding.wait(
      { step, items, reason },
      () => this.#mustEnd || this.#halted,
      () => {
        // What an operator has wanted first goes before: a pause, or the end.
        if (this.#state.allows('holding')) this.#state.become('holding', reason);
      },
    );
  }

  /**
   * The ledger is behind what this run believes: brings the work to rest, so that a run which believes nothing goes
   * through the flow again and does what the ledger has lost, as a start after a crash would.
   *
   * @returns what is to be thrown through the flow; undefined where it may not be done again: the job must not be
   * restarted, has failed, or has been here too often.
   */
  rewind(): JobYielded | undefined {
    if (this.#opened?.preventRestart || this.#halted || this.#rewinds >= mostRewinds) return undefined;
    // Branches meet the same loss one after another: it is one.
    if (!this.#yieldWanted) this.#rewinds++;
    this.requestYield();
    this.#rewound = true;
    const yielded = new JobYielded('the ledger is behind the history');
    this.#interruption = yielded;
    return yielded;
  }

  /** Brings the work to rest so that the run can continue with a new history. */
  requestYield(): void {
    if (this.#halted) return;
    this.#yieldWanted = true;
    this.work.interrupt();
  }

  /** Lets the chunks in hand commit, and waits. */
  requestPause(reason: string | null): void {
    this.#pauseWanted = true;
    this.#state.become('pausing', reason);
    this.work.interrupt();
  }

  /** Goes on after a pause, or tries again what the job holds for. */
  resume(): void {
    this.#pauseWanted = false;
    this.#holding.release();
    this.#state.become('running', null);
    this.#settle();
  }

  /** Lets the chunks in hand commit, and ends. */
  requestStop(reason: string): void {
    if (this.#stopWanted || isFinal(this.#state.status)) return;
    this.#stopWanted = true;
    this.#pauseWanted = false;
    this.#state.become('stopping', reason);
    this.work.interrupt();
  }

  /** The items that `skipHeld` would set aside. */
  get heldItems(): readonly string[] {
    return this.#state.allows('running') ? (this.#holding.held?.items ?? []) : [];
  }

  /** Sets the items aside that the job holds for, and goes on. */
  skipHeld(reason: string | null): void {
    const { step, items } = this.#holding.held ?? { step: '', items: [] };
    this.#setAside[step] = [...this.setAside(step), ...items];
    this.#holding.release();
    // A run that is stopped in the same moment ends all the same.
    if (!this.#stopWanted) this.#state.become('running', reason);
    this.#settle();
  }

  /** Changes what is named; windows come to rest and open again with the new figures. */
  tune(tuning: Tuning): void {
    this.#tuning = { ...this.#tuning, ...tuning };
    this.#publish();
    this.work.interrupt();
  }

  /** Ends the execution. @returns its report. */
  async finish(status: 'completed' | 'stopped' | 'failed', reason: string | null): Promise<JobProgress> {
    this.#finishedAt = new Date().toISOString();
    this.#state.become(
      status === 'completed' && this.reports.skipped ? 'completedWithSkips' : status,
      reason,
    );
    await condition(allHandlersFinished);
    return this.progress();
  }

  progress(): JobProgress {
    return {
      job: this.job,
      instance: this.#opened?.claim.instance ?? null,
      parameters: this.#opened?.shown ?? this.#opened?.parameters ?? null,
      workflowId: workflowInfo().workflowId,
      status: this.#state.status,
      reason: this.#state.reason,
      startedAt: this.#startedAt,
      finishedAt: this.#finishedAt,
      tuning: Object.keys(this.#tuning).length > 0 ? this.#tuning : null,
      verifiable: this.#opened && comparesSides(this.#opened.policies),
      steps: this.reports.all,
      ...(this.reports.course.length > 0 ? { course: this.reports.course } : {}),
    };
  }

  /** A job that nothing else holds is throttled while a step of it is. */
  #settle(): void {
    const { reason } = this.throttling;
    if (reason === undefined) {
      if (this.#state.status !== 'throttled') return;
      const { held } = this.#holding;
      if (held) this.#state.become('holding', held.reason);
      else this.#state.become('running', null);
    } else if (this.#state.status === 'running') this.#state.become('throttled', reason);
    else if (this.#state.status === 'throttled' && this.#state.reason !== reason) {
      this.#state.explain(reason);
      this.#publish();
    }
  }

  #stateChanged(): void {
    this.#publish();
    // Not with every page: each upsert is an event in the history.
    if (this.#opened?.searchAttributes) publishStatus(this.progress());
  }

  #publish(): void {
    setCurrentDetails(detailsOf(this.progress()));
  }
}
