import { allHandlersFinished, condition, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { ClosedJob, OpenedJob, PartitionNews } from '../contract/activities.ts';
import { failure } from '../contract/errors.ts';
import type { Tuning } from '../contract/messages.ts';
import { type Counters, type JobProgress, type StepProgress, withLedger } from '../contract/progress.ts';
import { isFinal, type JobStatus, mayBecome } from '../contract/states.ts';
import { Adaptation, type Adapted } from './adaptation.ts';
import { detailsOf } from './details.ts';
import { HeldBack } from './held-back.ts';
import { SeenSteps } from './seen-steps.ts';
import { publishStatus } from './search-attributes.ts';

/** Thrown through a job's flow when an operator has stopped it; `runJob` turns it into a stopped execution. */
export class JobStopped extends Error {
  override readonly name = 'JobStopped';
}

/** Thrown through a job's flow when the history has grown long; `runJob` continues the run as new. */
export class JobYielded extends Error {
  override readonly name = 'JobYielded';
}

/** What a run that continues another must know of it. */
export interface CarriedState {
  readonly startedAt: string;
  /** The reason of a pause that is to go on; null for none. */
  readonly paused: string | null;
  readonly tuning: Tuning;
  readonly setAside: Readonly<Record<string, readonly string[]>>;
  /** How often the ledger was found behind the history; undefined for never. */
  readonly rewinds?: number;
  /** Undefined from a build that learned nothing. */
  readonly adapted?: Readonly<Record<string, Adapted>>;
}

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
  readonly #steps = new Map<string, StepProgress>();
  readonly #interrupts = new Set<() => void>();
  #status: JobStatus = 'starting';
  #reason: string | null = null;
  #finishedAt: string | null = null;
  #opened: OpenedJob | undefined;
  #pauseWanted = false;
  #stopWanted = false;
  #yieldWanted = false;
  /** Steps that have work running, or are about to. */
  #working = 0;
  /** Steps that have begun and not ended, working or waiting. */
  readonly #inHand = new Set<{ readonly step: string }>();
  /** A branch of the flow has failed: no more work is to begin in the others. */
  #halted = false;
  #tuning: Tuning;
  /** Keys of items that operators have set aside, by step. */
  readonly #setAside: Record<string, readonly string[]>;
  readonly #adaptation: Adaptation;
  /** Steps that wait for a gate to open: however many there are, the job is throttled once. */
  readonly heldBack = new HeldBack(() => this.#settle());
  /** What this run has seen completed. */
  readonly seen = new SeenSteps();
  #rewinds: number;
  /** What has been thrown through the flow, which may have caught it. */
  #interruption: JobStopped | JobYielded | undefined;
  /** What an operator may decide about while the job holds. */
  #held: { readonly step: string; readonly items: readonly string[]; readonly reason: string } | undefined;

  constructor(job: string, carried: CarriedState | null) {
    this.job = job;
    this.#startedAt = carried?.startedAt ?? workflowInfo().startTime.toISOString();
    this.#pauseWanted = carried !== null && carried.paused !== null;
    this.#reason = carried?.paused ?? null;
    this.#tuning = carried?.tuning ?? {};
    this.#setAside = { ...carried?.setAside };
    this.#adaptation = new Adaptation(carried?.adapted);
    this.#rewinds = carried?.rewinds ?? 0;
  }

  get opened(): OpenedJob {
    if (!this.#opened)
      throw failure('StepFailed', `${this.job}: a step was asked for before the job was open.`);
    return this.#opened;
  }

  get status(): JobStatus {
    return this.#status;
  }

  /** What a run that continues this one must know. */
  get carried(): CarriedState {
    return {
      startedAt: this.#startedAt,
      paused: this.#pauseWanted ? (this.#reason ?? '') : null,
      tuning: this.#tuning,
      setAside: this.#setAside,
      adapted: this.#adaptation.carried,
      ...(this.#rewinds > 0 ? { rewinds: this.#rewinds } : {}),
    };
  }

  get tuning(): Tuning {
    return this.#tuning;
  }

  /** Keys of items of a step that operators have set aside. */
  setAside(step: string): readonly string[] {
    return this.#setAside[step] ?? [];
  }

  /** What a step has learned and decided by itself. */
  adapted(step: string): Adapted {
    return this.#adaptation.of(step);
  }

  hear(news: PartitionNews): void {
    this.#adaptation.hear(news);
    this.#publish();
  }

  open(opened: OpenedJob): void {
    this.#opened = opened;
    this.#become(this.#pauseWanted ? 'pausing' : 'running', this.#reason);
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
      if (this.#working === 0) this.#become('paused', this.#reason);
      // Another branch may be what still works: whoever waits here says when the last of it has come to rest.
      const atRest = () => this.#working === 0 && this.#status === 'pausing';
      await condition(() => !this.#pauseWanted || this.#mustEnd || atRest());
    }
    if (!this.#mustEnd) return;
    this.#interruption =
      this.#stopWanted || this.#halted
        ? new JobStopped(this.#reason ?? 'stopped')
        : new JobYielded('the history has grown long');
    throw this.#interruption;
  }

  /**
   * The end of a flow. One that goes on when a step has thrown must not take for done what was stopped.
   *
   * @throws JobStopped, JobYielded when that was thrown to it before.
   */
  endFlow(): void {
    if (this.#interruption) throw this.#interruption;
  }

  /**
   * The same for a step that has not begun: after the failure of another branch none does, whatever the others finish.
   *
   * @throws JobStopped, JobYielded
   */
  async mayBegin(): Promise<void> {
    await this.ready();
    if (this.#halted) throw new JobStopped(this.#reason ?? 'stopped');
  }

  /** Does a step, from its opening to its end. */
  async whileInHand<Result>(step: string, work: () => Promise<Result>): Promise<Result> {
    const entry = { step };
    this.#inHand.add(entry);
    try {
      return await work();
    } finally {
      this.#inHand.delete(entry);
    }
  }

  /** Runs work that `interrupt` brings to rest. Paused is only what has nothing running any more. */
  async whileWorking<Result>(interrupt: () => void, work: () => Promise<Result>): Promise<Result> {
    this.#working++;
    this.#interrupts.add(interrupt);
    try {
      if (this.mustRest) interrupt();
      return await work();
    } finally {
      this.#interrupts.delete(interrupt);
      this.#working--;
    }
  }

  /** Waits until no step is in hand any more: those of the other branches of a flow, after one of them has thrown. */
  async rested(): Promise<void> {
    await condition(() => this.#inHand.size === 0);
  }

  /**
   * Lets no more steps begin, and brings what runs to rest unless the job wants it finished: a branch has failed.
   *
   * @returns the steps that the other branches have in hand.
   */
  halt(): readonly string[] {
    this.#halted = true;
    if (this.#mustEnd) this.#interrupt();
    return [...this.#inHand].map(({ step }) => step);
  }

  /**
   * Waits for an operator to decide about a step that has failed: `resume` tries it again, `skip` sets the items aside
   * that failed, `stop` ends the execution.
   *
   * @throws JobStopped
   */
  async hold(reason: string, step: string, items: readonly string[]): Promise<void> {
    const ending = () => this.#mustEnd || this.#halted;
    // One at a time: an operator decides about what the state shows.
    while (this.#held && !ending()) await condition(() => this.#held === undefined || ending());
    const held = { step, items, reason };
    this.#held = held;
    this.#become('holding', reason);
    await condition(() => this.#held !== held || ending());
    if (this.#held === held) this.#held = undefined;
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
    const yielded = new JobYielded('the ledger is behind the history');
    this.#interruption = yielded;
    return yielded;
  }

  /** Brings the work to rest so that the run can continue with a new history. */
  requestYield(): void {
    if (this.#halted) return;
    this.#yieldWanted = true;
    this.#interrupt();
  }

  /** Lets the chunks in hand commit, and waits. */
  requestPause(reason: string | null): void {
    this.#pauseWanted = true;
    this.#become('pausing', reason);
    this.#interrupt();
  }

  /** Goes on after a pause, or tries again what the job holds for. */
  resume(): void {
    this.#pauseWanted = false;
    this.#held = undefined;
    this.#become('running', null);
    this.#settle();
  }

  /** Lets the chunks in hand commit, and ends. */
  requestStop(reason: string): void {
    if (this.#stopWanted || isFinal(this.#status)) return;
    this.#stopWanted = true;
    this.#pauseWanted = false;
    this.#become('stopping', reason);
    this.#interrupt();
  }

  /** The items that `skipHeld` would set aside. */
  get heldItems(): readonly string[] {
    return this.#held?.items ?? [];
  }

  /** Sets the items aside that the job holds for, and goes on. */
  skipHeld(reason: string | null): void {
    const { step, items } = this.#held ?? { step: '', items: [] };
    this.#setAside[step] = [...this.setAside(step), ...items];
    this.#held = undefined;
    this.#become('running', reason);
    this.#settle();
  }

  /** Changes what is named; windows come to rest and open again with the new figures. */
  tune(tuning: Tuning): void {
    this.#tuning = { ...this.#tuning, ...tuning };
    this.#publish();
    this.#interrupt();
  }

  report(step: StepProgress): void {
    this.#steps.set(step.step, step);
    this.#publish();
  }

  /** Takes over what the ledger has of each step: it is the truth, and what pages told of themselves may be old. */
  settleFigures(closed: ClosedJob | undefined): void {
    const known = [...this.#steps.values()];
    for (const step of withLedger(known, closed?.steps ?? [], this.opened.policies))
      this.#steps.set(step.step, step);
  }

  /** The same for the counters of one step. */
  recount(step: string, counters: Counters): void {
    const known = this.#steps.get(step);
    if (known) this.report({ ...known, ...counters });
  }

  /** Ends the execution. @returns its report. */
  async finish(status: 'completed' | 'stopped' | 'failed', reason: string | null): Promise<JobProgress> {
    const skipped = [...this.#steps.values()].some((step) => step.skipped > 0);
    this.#finishedAt = new Date().toISOString();
    this.#become(status === 'completed' && skipped ? 'completedWithSkips' : status, reason);
    await condition(allHandlersFinished);
    return this.progress();
  }

  progress(): JobProgress {
    return {
      job: this.job,
      instance: this.#opened?.claim.instance ?? null,
      parameters: this.#opened?.parameters ?? null,
      workflowId: workflowInfo().workflowId,
      status: this.#status,
      reason: this.#reason,
      startedAt: this.#startedAt,
      finishedAt: this.#finishedAt,
      tuning: Object.keys(this.#tuning).length > 0 ? this.#tuning : null,
      steps: [...this.#steps.values()].map((step) => {
        const { decisions } = this.#adaptation.of(step.step);
        return decisions.length > 0 ? { ...step, decisions } : step;
      }),
    };
  }

  /** A job that nothing else holds is throttled while a step of it is held back. */
  #settle(): void {
    const { reason } = this.heldBack;
    if (reason === undefined) {
      if (this.#status !== 'throttled') return;
      if (this.#held) this.#become('holding', this.#held.reason);
      else this.#become('running', null);
    } else if (this.#status === 'running') this.#become('throttled', reason);
    else if (this.#status === 'throttled' && this.#reason !== reason) {
      this.#reason = reason;
      this.#publish();
    }
  }

  #become(status: JobStatus, reason: string | null): void {
    if (this.#status === status || !mayBecome(this.#status, status)) return;
    this.#status = status;
    this.#reason = reason;
    this.#publish();
    // Not with every page: each upsert is an event in the history.
    if (this.#opened?.searchAttributes) publishStatus(this.progress());
  }

  #publish(): void {
    setCurrentDetails(detailsOf(this.progress()));
  }

  #interrupt(): void {
    for (const interrupt of this.#interrupts) interrupt();
  }
}
