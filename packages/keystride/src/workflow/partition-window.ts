import {
  type ApplicationFailure,
  CancellationScope,
  executeChild,
  isCancellation,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { PageRequest, PartitionState, StepRequest, Throttled } from '../contract/step-activities.ts';
import { describeError, failure, failureTypeOf } from '../contract/errors.ts';
import type { ChunkPolicy } from '../contract/policy.ts';
import { addCounters, noCounters } from '../contract/progress.ts';
import { partition as partitionWorkflow } from './partition.ts';
import { findDivisible, readStep } from './activities.ts';
import type { JobRun } from './job-run.ts';
import { ledgerWork } from './ledger-work.ts';
import { pageRequestOf, tuned } from './page-requests.ts';
import type { FailedPartition } from './partitions-failed.ts';
import { runPages } from './run-pages.ts';
import { type RunningPartition, RunningPartitions } from './running-partitions.ts';
import { startedChild } from './start-child.ts';
import type { StepPartitions } from './step-partitions.ts';
import type { StepReporter } from './step-reporter.ts';

/** How often the ledger is asked how far the children have come. A local activity costs few events. */
const lookEvery = 15_000;

/** Chunks that a partition must have left to be worth cutting: to bring it to rest costs about as much as one. */
const fewestChunks = 4;

/** How often, a second apart, the start of a partition is tried. */
const mostStarts = 21;

/**
 * The partitions that run side by side until all are done or the job is interrupted.
 *
 * When none is waiting any more and slots have fallen idle, partitions that have run for long and have much left are
 * cut in two. A page knows its range from its beginning and reads ahead in it, so an upper end cannot be moved under
 * it: the partition is brought to rest first, as a pause does it, then cut in the ledger, and then both parts run in
 * its place. Everything that has to do with it happens at the look that the window takes now and then; before a
 * partition has run for `splitAfterSeconds` it does not happen at all.
 */
export class PartitionWindow {
  readonly failed: FailedPartition[] = [];
  /** A page was throttled, and the others have come to rest for it; undefined when none was. */
  throttled: Throttled | undefined;
  /** The ledger has lost the claim or a partition, and the others have come to rest for it. */
  behind: ApplicationFailure | undefined;
  readonly #run: JobRun;
  readonly #request: StepRequest;
  readonly #policy: ChunkPolicy;
  readonly #partitions: StepPartitions;
  readonly #reporter: StepReporter;
  readonly #scope = new CancellationScope();
  readonly #queue: number[];
  readonly #running: RunningPartitions;

  constructor(
    run: JobRun,
    request: StepRequest,
    policy: ChunkPolicy,
    partitions: StepPartitions,
    reporter: StepReporter,
  ) {
    this.#run = run;
    this.#request = request;
    this.#policy = tuned(policy, run.tuning);
    this.#partitions = partitions;
    this.#reporter = reporter;
    this.#queue = [...partitions.left];
    this.#running = new RunningPartitions(
      run.tuning.partitions ?? Math.min(policy.window, policy.partitions),
    );
  }

  run(): Promise<void> {
    const inline = this.#partitions.count === 1;
    return this.#run.work.whileWorking(
      () => this.#scope.cancel(),
      () => this.#scope.run(() => (inline ? this.#runInline() : this.#runChildren())),
    );
  }

  async #runInline(): Promise<void> {
    const [only] = this.#queue;
    if (only === undefined) return;
    const hear = (page: PartitionState) => {
      this.#reporter.counters(page.counters);
      this.#hear(page);
    };
    try {
      const state = await runPages(this.#pageRequest(only, 1), hear, this.#fitsInAChunk());
      this.#note(only, state);
      // The page loop came back without being done or interrupted: the history has grown long.
      if (state && !state.done && !this.#scope.consideredCancelled) this.#run.requestYield();
    } catch (error) {
      this.#fail(only, error);
    }
  }

  async #runChildren(): Promise<void> {
    const slots = Math.min(this.#policy.window, this.#queue.length);
    const looking = new CancellationScope();
    const look = looking.run(() => this.#lookNowAndThen()).catch(() => undefined);
    await Promise.all(
      Array.from({ length: slots }, async () => {
        for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
          if (this.#scope.consideredCancelled) return;
          if (workflowInfo().continueAsNewSuggested) this.#run.requestYield();
          await this.#runPartition(next, 1 / slots);
        }
      }),
    );
    looking.cancel();
    await look;
  }

  /** Runs a partition to its end, or until the window is interrupted; cut in two on the way, it runs both parts. */
  async #runPartition(partition: number, share: number): Promise<void> {
    const scope = new CancellationScope();
    const running = { partition, share, since: Date.now(), scope, splitting: false };
    this.#running.add(running);
    await this.#runChild(running);
    const rests = this.#partitions.left.has(partition) && !this.#scope.consideredCancelled;
    if (running.splitting && rests) await this.#split(running);
    else this.#running.delete(partition);
  }

  async #runChild(running: RunningPartition): Promise<void> {
    const { claim, step } = this.#request;
    const { partition, share, scope } = running;
    try {
      const state = await scope.run(() =>
        startedChild(mostStarts, () =>
          executeChild(partitionWorkflow, {
            workflowId: `${workflowInfo().workflowId}/${step}/p${partition}`,
            args: [this.#pageRequest(partition, share)],
            staticSummary: `${claim.instance} ${step} p${partition}`,
          }),
        ),
      );
      if (state) this.#hear(state);
      this.#note(partition, state);
    } catch (error) {
      if (this.#scope.consideredCancelled || (running.splitting && isCancellation(error))) return;
      running.splitting = false;
      this.#fail(partition, error);
    }
  }

  /** Cuts what is left of a partition that is at rest in two, and runs both; or runs on with it as it was. */
  async #split({ partition, share }: RunningPartition): Promise<void> {
    const into = this.#partitions.takeNumber();
    const request = { ...this.#request, partition, into, fewest: this.#fewest() };
    let split: boolean;
    try {
      // An answer that was not waited for might have been yes: the run would not know of the new partition.
      split = await CancellationScope.nonCancellable(() => ledgerWork.splitPartition(request));
    } catch (error) {
      this.#running.delete(partition);
      return this.#fail(partition, error);
    }
    if (split) this.#reporter.partitionsAdded(this.#partitions.add([into]));
    else this.#running.keepWhole(partition);
    if (this.#scope.consideredCancelled) return;
    if (!split) return this.#runPartition(partition, share);
    // The slot that the new part takes was idle, and with it a share of what may be processed at a time.
    const half = (share + Math.max(0, 1 - this.#running.share)) / 2;
    await Promise.all([this.#runPartition(partition, half), this.#runPartition(into, half)]);
  }

  /** Whether the plan has counted no more rows than a chunk takes. */
  #fitsInAChunk(): boolean {
    const { expected } = this.#reporter;
    return expected !== null && expected <= this.#policy.chunkSize;
  }

  #fewest(): number {
    return fewestChunks * this.#policy.chunkSize;
  }

  #pageRequest(partition: number, share: number): PageRequest {
    return pageRequestOf(this.#run, this.#request, this.#policy, partition, share);
  }

  #hear({ chunkSize, decisions = [], retries }: PartitionState): void {
    const { step } = this.#request;
    this.#run.reports.hear({
      ...{ step, decisions },
      ...(chunkSize === undefined ? {} : { chunkSize }),
      ...(retries ? { retries } : {}),
    });
  }

  #note(partition: number, state: PartitionState | undefined): void {
    if (state?.throttled) {
      this.throttled ??= state.throttled;
      // The job is throttled as a whole: what still runs comes to rest.
      this.#scope.cancel();
    }
    if (!state?.done) return;
    this.#partitions.left.delete(partition);
    this.#reporter.partitionDone();
  }

  #fail(partition: number, error: unknown): void {
    if (failureTypeOf(error) === 'LedgerBehind') {
      this.behind ??= failure('LedgerBehind', describeError(error));
      this.#scope.cancel();
      return;
    }
    this.failed.push({ partition, error });
    this.#reporter.partitionFailed();
  }

  async #lookNowAndThen(): Promise<void> {
    const splitAfter = (this.#policy.splitAfterSeconds ?? 0) * 1000;
    for (;;) {
      await sleep(splitAfter > 0 ? Math.min(lookEvery, splitAfter) : lookEvery);
      const { claim, step } = this.#request;
      const state = await readStep({ claim, step }).catch(() => undefined);
      if (state) this.#reporter.counters(addCounters(noCounters, state.counters));
      if (splitAfter > 0) await this.#fillIdleSlots(splitAfter);
    }
  }

  /** Brings those that have most left to rest, one for each idle slot. Their slots go on with `#split`. */
  async #fillIdleSlots(splitAfter: number): Promise<void> {
    const partitions = this.#idleSlots() > 0 ? this.#candidates(splitAfter) : [];
    if (partitions.length === 0) return;
    const request = { ...this.#request, partitions, fewest: this.#fewest() };
    const divisible = await findDivisible(request).catch(() => undefined);
    if (!divisible) return;
    for (const partition of partitions)
      if (!divisible.includes(partition)) this.#running.keepWhole(partition);
    const still = new Set(this.#candidates(splitAfter));
    const chosen = divisible.filter((partition) => still.has(partition));
    for (const partition of chosen.slice(0, Math.max(0, this.#idleSlots())))
      this.#running.bringToRest(partition);
  }

  #idleSlots(): number {
    return this.#queue.length > 0 ? 0 : this.#running.idle;
  }

  /** Partitions that have run for so long, in milliseconds. A redrive runs over a list of skips, which stays whole. */
  #candidates(splitAfter: number): number[] {
    return this.#request.claim.redrives ? [] : this.#running.candidates(splitAfter);
  }
}
