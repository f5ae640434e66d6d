import { CancellationScope, executeChild, sleep, workflowInfo } from '@temporalio/workflow';
import type {
  OpenedStep,
  PagePolicy,
  PageRequest,
  PartitionState,
  StepRequest,
} from '../../contract/activities.ts';
import { describeError, failureTypeOf } from '../../contract/errors.ts';
import type { Tuning } from '../../contract/messages.ts';
import type { ChunkPolicy } from '../../contract/policy.ts';
import { addCounters, type Counters, noCounters } from '../../contract/progress.ts';
import { partition as partitionWorkflow } from '../../workflows/partition.ts';
import { ledgerWork, readStep } from './activities.ts';
import { failedItemOf, PartitionsFailed } from './failed-items.ts';
import type { JobRun } from './job-run.ts';
import { runPages } from './run-pages.ts';
import type { StepReporter } from './step-reporter.ts';

/** How often the ledger is asked how far the children have come. A local activity costs few events. */
const lookEvery = 15_000;

/**
 * Runs what is left of a chunk step: its partitions, a window of them at a time, until all are done.
 *
 * Pausing, stopping and continuing as new are one thing here: the window's scope is cancelled, every partition commits
 * the chunk it has in hand and comes back, and `ready` decides whether another window is opened over what is left.
 *
 * @throws PartitionsFailed after the other partitions have finished; JobStopped, JobYielded between windows.
 */
export async function runChunkStep(
  run: JobRun,
  request: StepRequest,
  policy: ChunkPolicy,
  opened: OpenedStep,
  reporter: StepReporter,
): Promise<Counters> {
  const left = new Set(opened.partitions.filter(({ done }) => !done).map(({ partition }) => partition));
  while (left.size > 0) {
    await run.ready();
    const window = new PartitionWindow(run, request, policy, opened, left, reporter);
    await window.run();
    if (window.failures.length > 0)
      throw new PartitionsFailed(window.failures.join(' | '), window.failedItems);
  }
  const closed = await ledgerWork.closeStep(request);
  return closed.counters;
}

function tuned(policy: ChunkPolicy, { chunkSize, concurrency, partitions }: Tuning): ChunkPolicy {
  return {
    ...policy,
    chunkSize: chunkSize ?? policy.chunkSize,
    concurrency: concurrency ?? policy.concurrency,
    window: partitions ?? policy.window,
  };
}

/** The partitions that run side by side until all are done or the job is interrupted. */
class PartitionWindow {
  readonly failures: string[] = [];
  readonly failedItems: string[] = [];
  readonly #run: JobRun;
  readonly #request: StepRequest;
  readonly #policy: ChunkPolicy;
  readonly #inline: boolean;
  readonly #left: Set<number>;
  readonly #reporter: StepReporter;
  readonly #scope = new CancellationScope();

  constructor(
    run: JobRun,
    request: StepRequest,
    policy: ChunkPolicy,
    opened: OpenedStep,
    left: Set<number>,
    reporter: StepReporter,
  ) {
    this.#run = run;
    this.#request = request;
    this.#policy = tuned(policy, run.tuning);
    this.#inline = opened.partitions.length === 1;
    this.#left = left;
    this.#reporter = reporter;
  }

  run(): Promise<void> {
    return this.#run.whileWorking(
      () => this.#scope.cancel(),
      () => this.#scope.run(() => (this.#inline ? this.#runInline() : this.#runChildren())),
    );
  }

  async #runInline(): Promise<void> {
    const [only] = this.#left;
    if (only === undefined) return;
    try {
      const state = await runPages(this.#pageRequest(only, 1), (page) =>
        this.#reporter.counters(page.counters),
      );
      this.#note(only, state);
      // The page loop came back without being done or interrupted: the history has grown long.
      if (state && !state.done && !this.#scope.consideredCancelled) this.#run.requestYield();
    } catch (error) {
      this.#fail(only, error);
    }
  }

  async #runChildren(): Promise<void> {
    const queue = [...this.#left];
    const slots = Math.min(this.#policy.window, queue.length);
    const looking = new CancellationScope();
    const look = looking.run(() => this.#lookNowAndThen()).catch(() => undefined);
    await Promise.all(
      Array.from({ length: slots }, async () => {
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
          if (this.#scope.consideredCancelled) return;
          if (workflowInfo().continueAsNewSuggested) this.#run.requestYield();
          await this.#runChild(next, slots);
        }
      }),
    );
    looking.cancel();
    await look;
  }

  async #runChild(partition: number, slots: number): Promise<void> {
    const { claim, step } = this.#request;
    try {
      const state = await startedChild(() =>
        executeChild(partitionWorkflow, {
          workflowId: `${workflowInfo().workflowId}/${step}/p${partition}`,
          args: [this.#pageRequest(partition, slots)],
          staticSummary: `${claim.instance} ${step} p${partition}`,
        }),
      );
      this.#note(partition, state);
    } catch (error) {
      if (!this.#scope.consideredCancelled) this.#fail(partition, error);
    }
  }

  #pageRequest(partition: number, slots: number): PageRequest {
    const { chunkSize, concurrency, pageSeconds, retry, skipLimit, skip } = this.#policy;
    const { rowsPerSecond } = this.#run.tuning;
    const setAside = this.#run.setAside(this.#request.step);
    const policy: PagePolicy = {
      chunkSize,
      concurrency: Math.max(1, Math.floor(concurrency / slots)),
      pageSeconds,
      retry,
      skipLimit,
      ...(skip ? { skip } : {}),
      ...(rowsPerSecond ? { itemsPerSecond: rowsPerSecond / slots } : {}),
      ...(setAside.length > 0 ? { setAside } : {}),
    };
    return { ...this.#request, partition, policy };
  }

  #note(partition: number, state: PartitionState | undefined): void {
    if (!state?.done) return;
    this.#left.delete(partition);
    this.#reporter.partitionDone();
  }

  #fail(partition: number, error: unknown): void {
    // Named by its type: that is what people look for, and the step's own failure says only that it failed.
    const told = [failureTypeOf(error), describeError(error)].filter(Boolean).join(': ');
    this.failures.push(`partition ${partition}: ${told}`);
    const item = failedItemOf(error);
    if (item !== undefined) this.failedItems.push(item);
    this.#reporter.partitionFailed();
  }

  async #lookNowAndThen(): Promise<void> {
    for (;;) {
      await sleep(lookEvery);
      const { claim, step } = this.#request;
      const state = await readStep({ claim, step }).catch(() => undefined);
      if (state) this.#reporter.counters(addCounters(noCounters, state.counters));
    }
  }
}

/**
 * Starts a child whose predecessor, of an execution that was terminated, may still be closing under the same id.
 */
async function startedChild<Result>(start: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      const closing = error instanceof Error && error.name === 'WorkflowExecutionAlreadyStartedError';
      if (!closing || attempt > 20) throw error;
    }
    await sleep('1 second');
  }
}
