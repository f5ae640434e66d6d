import {
  allHandlersFinished,
  condition,
  defineQuery,
  defineUpdate,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { OpenedJob } from '../../contract/activities.ts';
import { failure } from '../../contract/errors.ts';
import { type ControlAnswer, type ControlRequest, messages, type Tuning } from '../../contract/messages.ts';
import { wrongTuning } from '../../contract/tuning.ts';
import type { JobProgress, StepProgress } from '../../contract/progress.ts';
import { isFinal, type JobStatus, mayBecome } from '../../contract/states.ts';
import { detailsOf } from './details.ts';
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
}

/**
 * One execution of a job: its state, its progress, and the controls that operators have.
 *
 * Controls never touch the work itself. They note what is wanted and interrupt whoever has partitions running; those
 * let their chunks commit, come back, and ask `ready` before they go on.
 */
export class JobRun {
  readonly #job: string;
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
  /** A branch of the flow has failed: no more work is to begin in the others. */
  #halted = false;
  #tuning: Tuning;
  /** Keys of items that operators have set aside, by step. */
  readonly #setAside: Record<string, readonly string[]>;
  /** What an operator may decide about while the job holds. */
  #held: { readonly step: string; readonly items: readonly string[] } | undefined;

  constructor(job: string, carried: CarriedState | null) {
    this.#job = job;
    this.#startedAt = carried?.startedAt ?? new Date().toISOString();
    this.#pauseWanted = carried !== null && carried.paused !== null;
    this.#reason = carried?.paused ?? null;
    this.#tuning = carried?.tuning ?? {};
    this.#setAside = { ...carried?.setAside };
    this.#setHandlers();
  }

  get opened(): OpenedJob {
    if (!this.#opened)
      throw failure('StepFailed', `${this.#job}: a step was asked for before the job was open.`);
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
    };
  }

  get tuning(): Tuning {
    return this.#tuning;
  }

  /** Keys of items of a step that operators have set aside. */
  setAside(step: string): readonly string[] {
    return this.#setAside[step] ?? [];
  }

  open(opened: OpenedJob): void {
    this.#opened = opened;
    this.#become(this.#pauseWanted ? 'pausing' : 'running', this.#reason);
    this.#publish();
  }

  /**
   * Waits while the job is paused. Whoever is about to work asks this first.
   *
   * @throws JobStopped, JobYielded when no more work is to begin.
   */
  async ready(): Promise<void> {
    if (this.#pauseWanted && this.#working === 0) this.#become('paused', this.#reason);
    await condition(() => !this.#pauseWanted || this.#stopWanted || this.#yieldWanted);
    if (this.#stopWanted || this.#halted) throw new JobStopped(this.#reason ?? 'stopped');
    if (this.#yieldWanted) throw new JobYielded('the history has grown long');
  }

  /** Runs work that `interrupt` brings to rest. Paused is only what has nothing running any more. */
  async whileWorking<Result>(interrupt: () => void, work: () => Promise<Result>): Promise<Result> {
    this.#working++;
    this.#interrupts.add(interrupt);
    try {
      if (this.#pauseWanted || this.#stopWanted || this.#yieldWanted || this.#halted) interrupt();
      return await work();
    } finally {
      this.#interrupts.delete(interrupt);
      this.#working--;
    }
  }

  /** Waits until nothing runs any more: the other branches of a flow, after one of them has thrown. */
  async rested(): Promise<void> {
    await condition(() => this.#working === 0);
  }

  /** Lets no more work begin, and brings what runs to rest: a branch of the flow has failed. */
  halt(): void {
    this.#halted = true;
    this.#interrupt();
  }

  /**
   * Waits for an operator to decide about a step that has failed: `resume` tries it again, `skip` sets the items aside
   * that failed, `stop` ends the execution.
   *
   * @throws JobStopped
   */
  async hold(reason: string, step: string, items: readonly string[]): Promise<void> {
    await condition(() => this.#held === undefined);
    this.#held = { step, items };
    this.#become('holding', reason);
    await condition(() => this.#held === undefined || this.#stopWanted || this.#halted);
    this.#held = undefined;
  }

  /** Brings the work to rest so that the run can continue with a new history. */
  requestYield(): void {
    this.#yieldWanted = true;
    this.#interrupt();
  }

  /** Lets the chunks in hand commit, and ends. */
  requestStop(reason: string): void {
    if (this.#stopWanted || isFinal(this.#status)) return;
    this.#stopWanted = true;
    this.#pauseWanted = false;
    this.#become('stopping', reason);
    this.#interrupt();
  }

  report(step: StepProgress): void {
    this.#steps.set(step.step, step);
    this.#publish();
  }

  stepProgress(step: string): StepProgress | undefined {
    return this.#steps.get(step);
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
      job: this.#job,
      instance: this.#opened?.claim.instance ?? null,
      parameters: this.#opened?.parameters ?? null,
      workflowId: workflowInfo().workflowId,
      status: this.#status,
      reason: this.#reason,
      startedAt: this.#startedAt,
      finishedAt: this.#finishedAt,
      tuning: Object.keys(this.#tuning).length > 0 ? this.#tuning : null,
      steps: [...this.#steps.values()],
    };
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

  #setHandlers(): void {
    this.#setSkipHandler();
    this.#setTuneHandler();
    setHandler(defineQuery<JobProgress>(messages.progress), () => this.progress(), {
      description: 'State, steps and counters of this execution.',
    });
    setHandler(
      defineUpdate<ControlAnswer, [ControlRequest | undefined]>(messages.pause),
      (request) => {
        this.#pauseWanted = true;
        this.#become('pausing', request?.reason ?? null);
        this.#interrupt();
        return { status: this.#status };
      },
      {
        description: 'Lets the chunks in hand commit and waits. Input: {"reason": "…"}',
        validator: (_: ControlRequest | undefined) => this.#refuseUnless('pausing', 'pause'),
      },
    );
    setHandler(
      defineUpdate<ControlAnswer>(messages.resume),
      () => {
        this.#pauseWanted = false;
        this.#become('running', null);
        return { status: this.#status };
      },
      { description: 'Goes on after a pause.', validator: () => this.#refuseUnless('running', 'resume') },
    );
    setHandler(
      defineUpdate<ControlAnswer, [ControlRequest | undefined]>(messages.stop),
      (request) => {
        this.requestStop(request?.reason ?? 'stopped by an operator');
        return { status: this.#status };
      },
      {
        description:
          'Lets the chunks in hand commit and ends; a new start goes on from there. Input: {"reason": "…"}',
        validator: (_: ControlRequest | undefined) => this.#refuseUnless('stopping', 'stop'),
      },
    );
  }

  #setSkipHandler(): void {
    setHandler(
      defineUpdate<ControlAnswer, [ControlRequest | undefined]>(messages.skip),
      (request) => {
        const { step, items } = this.#held ?? { step: '', items: [] };
        this.#setAside[step] = [...this.setAside(step), ...items];
        this.#held = undefined;
        this.#become('running', request?.reason ?? null);
        return { status: this.#status };
      },
      {
        description: 'Sets the items aside that the job holds for, and goes on. Input: {"reason": "…"}',
        validator: (_: ControlRequest | undefined) => {
          if (this.#held && this.#held.items.length > 0) return;
          throw failure(
            'ControlRefused',
            `${this.#job} is ${this.#status}: there is no single item to skip.`,
          );
        },
      },
    );
  }

  #setTuneHandler(): void {
    setHandler(
      defineUpdate<ControlAnswer, [Tuning]>(messages.tune),
      (tuning) => {
        this.#tuning = { ...this.#tuning, ...tuning };
        this.#publish();
        // Windows come to rest and open again with the new figures.
        this.#interrupt();
        return { status: this.#status };
      },
      {
        description:
          'Changes {"chunkSize", "concurrency", "partitions", "rowsPerSecond"} of the running steps.',
        validator: (tuning: Tuning) => {
          if (isFinal(this.#status) || this.#status === 'stopping') this.#refuse('tune');
          const wrong = wrongTuning(tuning);
          if (wrong)
            throw failure(
              'ControlRefused',
              `${this.#job} cannot be tuned so: ${wrong}. Nothing has changed.`,
            );
        },
      },
    );
  }

  #refuseUnless(next: JobStatus, control: string): void {
    if (!mayBecome(this.#status, next)) this.#refuse(control);
  }

  #refuse(control: string): never {
    throw failure('ControlRefused', `${this.#job} is ${this.#status}: it cannot ${control} now.`);
  }
}
