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
import { type ControlAnswer, type ControlRequest, messages } from '../../contract/messages.ts';
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

  constructor(job: string, carried: { startedAt: string; paused: string | null } | null) {
    this.#job = job;
    this.#startedAt = carried?.startedAt ?? new Date().toISOString();
    this.#pauseWanted = carried !== null && carried.paused !== null;
    this.#reason = carried?.paused ?? null;
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
  get carried(): { startedAt: string; paused: string | null } {
    return { startedAt: this.#startedAt, paused: this.#pauseWanted ? (this.#reason ?? '') : null };
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
    if (this.#stopWanted) throw new JobStopped(this.#reason ?? 'stopped');
    if (this.#yieldWanted) throw new JobYielded('the history has grown long');
  }

  /** Runs work that `interrupt` brings to rest. Paused is only what has nothing running any more. */
  async whileWorking<Result>(interrupt: () => void, work: () => Promise<Result>): Promise<Result> {
    this.#working++;
    this.#interrupts.add(interrupt);
    try {
      if (this.#pauseWanted || this.#stopWanted || this.#yieldWanted) interrupt();
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

  /** Brings the work to rest so that the run can continue with a new history. */
  requestYield(): void {
    this.#yieldWanted = true;
    this.interrupt();
  }

  /** Lets the chunks in hand commit, and ends. */
  requestStop(reason: string): void {
    if (this.#stopWanted || isFinal(this.#status)) return;
    this.#stopWanted = true;
    this.#pauseWanted = false;
    this.#become('stopping', reason);
    this.interrupt();
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

  /** Brings whatever is running to rest. */
  interrupt(): void {
    for (const interrupt of this.#interrupts) interrupt();
  }

  #setHandlers(): void {
    setHandler(defineQuery<JobProgress>(messages.progress), () => this.progress(), {
      description: 'State, steps and counters of this execution.',
    });
    setHandler(
      defineUpdate<ControlAnswer, [ControlRequest | undefined]>(messages.pause),
      (request) => {
        this.#pauseWanted = true;
        this.#become('pausing', request?.reason ?? null);
        this.interrupt();
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

  #refuseUnless(next: JobStatus, control: string): void {
    if (mayBecome(this.#status, next)) return;
    throw failure('ControlRefused', `${this.#job} is ${this.#status}: it cannot ${control} now.`);
  }
}
