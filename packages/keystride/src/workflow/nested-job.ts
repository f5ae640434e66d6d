import { CancellationScope, executeChild, isCancellation, sleep, workflowInfo } from '@temporalio/workflow';
import type { FoundInstance } from '../contract/activities.ts';
import { failure, failureTypeOf } from '../contract/errors.ts';
import {
  addCounters,
  type Counters,
  type JobProgress,
  type NestedRun,
  noCounters,
  type StepProgress,
} from '../contract/progress.ts';
import type { JobStatus } from '../contract/states.ts';
import { lookAtInstance } from './activities.ts';
import type { JobRun } from './job-run.ts';
import { ledgerWork } from './ledger-work.ts';
import { startedChild } from './start-child.ts';
import { completeStep } from './step-attempts.ts';
import { StepReporter } from './step-reporter.ts';
import { keystride, shellWord } from '../contract/shell.ts';

/** The workflow of a job, as `src/workflows` exports it. */
export type JobWorkflow<Parameters> = (parameters: Parameters) => Promise<JobProgress>;

/** How often the ledger is asked how far the nested job has come. A local activity costs few events. */
const lookEvery = 30_000;

/** How often, a second apart, a start is tried while another run has the nested job's workflow id. */
const mostStarts = 10;

/**
 * Runs another job as a step of this one, or finds that its instance has completed.
 *
 * The nested job is an ordinary execution of an ordinary instance, with its own claim, ledger, skips and controls, under
 * the instance's usual workflow id: so whoever starts the same instance meanwhile is refused as always, by Temporal and
 * by the claim, and every command finds it where it would be without a parent.
 *
 * Pausing, stopping and continuing the parent as new are one thing here, as for a window of partitions: the child is
 * cancelled, which stops it gracefully, and it is started afresh when the parent goes on, from its checkpoints. A paused
 * child would be of no more use than a stopped one, and a workflow cannot send the update.
 *
 * @throws StepFailed or what failed the nested job; JobExecutionAlreadyRunning; JobStopped, JobYielded.
 */
export function runNestedJob<Parameters>(
  run: JobRun,
  step: string,
  workflow: JobWorkflow<Parameters>,
  parameters: Parameters,
): Promise<StepProgress> {
  if (step in run.opened.policies)
    throw new Error(`${run.job} has a step ${step} of its own: name the nested job's step otherwise.`);
  return completeStep(run, step, () => {
    const nested = new NestedJob(run, step, workflow, parameters);
    return Promise.resolve({ reporter: nested.reporter, work: () => nested.complete() });
  });
}

class NestedJob<Parameters> {
  readonly reporter: StepReporter;
  readonly #run: JobRun;
  readonly #step: string;
  readonly #workflow: JobWorkflow<Parameters>;
  readonly #parameters: Parameters;

  constructor(run: JobRun, step: string, workflow: JobWorkflow<Parameters>, parameters: Parameters) {
    this.#run = run;
    this.#step = step;
    this.#workflow = workflow;
    this.#parameters = parameters;
    this.reporter = new StepReporter(run, unknownYet(step));
  }

  async complete(): Promise<Partial<StepProgress>> {
    for (;;) {
      await this.#run.ready();
      const found = await ledgerWork.findInstance(this.#request);
      if (found.status === 'completed') return completedBefore(found);
      this.#report(found, 'running');
      const report = await this.#runChild(found);
      if (report) return this.#completed(found.instance, report);
      await this.#look('stopped');
    }
  }

  #completed(instance: string, report: JobProgress): Partial<StepProgress> {
    // A flow of many nested jobs gives way between two of them, never before it has done one: else it would not advance.
    if (workflowInfo().continueAsNewSuggested) this.#run.requestYield();
    // A verification compares what the other steps have counted.
    const counted = report.steps.filter(({ kind }) => kind !== 'verification');
    return {
      ...counted.reduce<Counters>(addCounters, noCounters),
      result: runOf(instance, report.status),
    };
  }

  /** @returns its report when it has completed; undefined when it has come to rest, or was complete already. */
  async #runChild(found: FoundInstance): Promise<JobProgress | undefined> {
    const { instance } = found;
    const scope = new CancellationScope();
    // Not for a `tune`, which interrupts too: the nested job is tuned by itself.
    const interrupt = () => {
      if (this.#run.mustRest) scope.cancel();
    };
    try {
      const report = await this.#run.work.whileWorking(interrupt, () =>
        this.#whileLooking(() => scope.run(() => this.#execute(found))),
      );
      if (report.status !== 'stopped') return report;
      this.#run.requestStop(`${instance} was stopped: ${report.reason ?? 'no reason given'}`);
    } catch (error) {
      if (isCancellation(error)) {
        if (!scope.consideredCancelled) this.#run.requestStop(`${instance} was cancelled`);
      } else if (failureTypeOf(error) !== 'JobInstanceAlreadyComplete') {
        await this.#look('failed');
        throw error;
      }
    }
    return undefined;
  }

  #execute({ instance, taskQueue }: FoundInstance): Promise<JobProgress> {
    const start = () =>
      executeChild(this.#workflow, {
        workflowId: instance,
        args: [this.#parameters],
        ...(taskQueue !== undefined && { taskQueue }),
        // A parent that was terminated takes the child along, as it does its partitions. What the child has not
        // committed is done by the next start.
        parentClosePolicy: 'TERMINATE',
        cancellationType: 'WAIT_CANCELLATION_COMPLETED',
        staticSummary: `${this.#run.opened.claim.instance} ${this.#step}`,
      });
    return startedChild(mostStarts, start, () => runsElsewhere(instance));
  }

  /** Keeps the counters fresh while the child runs. A history that has grown long has no room for that any more. */
  async #whileLooking<Result>(work: () => Promise<Result>): Promise<Result> {
    const looking = new CancellationScope();
    const look = looking.run(() => this.#lookNowAndThen()).catch(() => undefined);
    try {
      return await work();
    } finally {
      looking.cancel();
      await look;
    }
  }

  async #lookNowAndThen(): Promise<void> {
    while (!workflowInfo().continueAsNewSuggested) {
      await sleep(lookEvery);
      await this.#look('running');
    }
  }

  /** Takes the counters from the ledger. It may fail: the next look, or the report, will tell. */
  async #look(status: JobStatus): Promise<void> {
    const found = await lookAtInstance(this.#request).catch(() => undefined);
    if (found) this.#report(found, status);
  }

  #report({ instance, counters }: FoundInstance, status: JobStatus): void {
    this.reporter.nested(counters, runOf(instance, status));
  }

  get #request() {
    return { job: this.#workflow.name, parameters: this.#parameters };
  }
}

function unknownYet(step: string): StepProgress {
  return {
    step,
    kind: 'job',
    status: 'running',
    expected: null,
    ...noCounters,
    partitions: { total: 0, done: 0, failed: 0 },
    startedAt: new Date().toISOString(),
    finishedAt: null,
  };
}

function runOf(instance: string, status: JobStatus, workflowId: string = instance): NestedRun {
  return { workflowId, instance, status };
}

/** An instance that an earlier execution, or somebody else, has completed is taken as done, with its figures. */
function completedBefore({ instance, workflowId, counters }: FoundInstance): Partial<StepProgress> {
  const status = counters.skipped > 0 ? 'completedWithSkips' : 'completed';
  return { ...counters, result: runOf(instance, status, workflowId ?? instance) };
}

function runsElsewhere(instance: string) {
  return failure(
    'JobExecutionAlreadyRunning',
    `${instance} is running already, and not as a part of this job. See: ${keystride} status ${shellWord(instance)}`,
  );
}
