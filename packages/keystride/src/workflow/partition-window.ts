import {
  type ApplicationFailure,
  CancellationScope,
  executeChild,
  isCancellation,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type {
  PagePolicy,
  PageRequest,
  PartitionState,
  StepRequest,
  Throttled,
} from '../contract/activities.ts';
import { describeError, failure, failureTypeOf } from '../contract/errors.ts';
import type { Tuning } from '../contract/messages.ts';
import { chunkBoundsOf, type ChunkPolicy } from '../contract/policy.ts';
import { addCounters, noCounters } from '../contract/progress.ts';
import { partition as partitionWorkflow } from './partition.ts';
import { findDivisible, ledgerWork, readStep } from './activities.ts';
import { wasAway } from './away.ts';
import { failedItemOf } from './failed-items.ts';
import type { JobRun } from './job-run.ts';
import { runPages } from './run-pages.ts';
import type { StepPartitions } from './step-partitions.ts';
import type { StepReporter } from './step-reporter.ts';

/** How often the ledger is asked how far the children have come. A local activity costs few events. */
const lookEvery = 15_000;

/** Chunks that a partition must have left to be worth cutting: to bring it to rest costs about as much as one. */
const fewestChunks = 4;

/** A partition that has its place in the window. */
interface Running {
  readonly partition: number;
  /** Its part of what the step may process at a time, and a second: 1 is all of it. */
  readonly share: number;
  /** When it was started, in milliseconds. */
  readonly since: number;
  readonly scope: CancellationScope;
  /** It is being brought to rest, so that what is left of it can be cut in two. */
  splitting: boolean;
}

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
  readonly failures: string[] = [];
  readonly failedItems: string[] = [];
  /** Whether each failure says that a store, or every worker, was away. */
  away = true;
  /** A page was held back, and the others have come to rest for it; undefined when none was. */
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
  readonly #running = new Map<number, Running>();
  /** Those that cannot be cut, or have too little left: it only becomes less. */
  readonly #whole = new Set<number>();
  /** Partitions that may run at a time, when there are so many. */
  readonly #slots: number;

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
    this.#slots = run.tuning.partitions ?? Math.min(policy.window, policy.partitions);
  }

  run(): Promise<void> {
    const inline = this.#partitions.count === 1;
    return this.#run.whileWorking(
      () => this.#scope.cancel(),
      () => this.#scope.run(() => (inline ? this.#runInline() : this.#runChildren())),
    );
  }

  async #runInline(): Promise<void> {
    const [only] = this.#queue;
    if (only === undefined) return;
    try {
      const state = await runPages(this.#pageRequest(only, 1), (page) => {
        this.#reporter.counters(page.counters);
        this.#hear(page);
      });
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
    this.#running.set(partition, running);
    await this.#runChild(running);
    const rests = this.#partitions.left.has(partition) && !this.#scope.consideredCancelled;
    if (running.splitting && rests) await this.#split(running);
    else this.#running.delete(partition);
  }

  async #runChild(running: Running): Promise<void> {
    const { claim, step } = this.#request;
    const { partition, share, scope } = running;
    try {
      const state = await scope.run(() =>
        startedChild(() =>
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
  async #split({ partition, share }: Running): Promise<void> {
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
    else this.#whole.add(partition);
    if (this.#scope.consideredCancelled) return;
    if (!split) return this.#runPartition(partition, share);
    // The slot that the new part takes was idle, and with it a share of what may be processed at a time.
    const taken = [...this.#running.values()].reduce((sum, other) => sum + other.share, 0);
    const half = (share + Math.max(0, 1 - taken)) / 2;
    await Promise.all([this.#runPartition(partition, half), this.#runPartition(into, half)]);
  }

  #fewest(): number {
    return fewestChunks * this.#policy.chunkSize;
  }

  #pageRequest(partition: number, share: number): PageRequest {
    const { concurrency, pageSeconds, durableEvery, retry, skipLimit, skip, quietHours } = this.#policy;
    const { rowsPerSecond = this.#policy.rowsPerSecond } = this.#run.tuning;
    const setAside = this.#run.setAside(this.#request.step);
    const policy: PagePolicy = {
      ...this.#commitInterval(),
      // Shares are fractions: three thirds of nine are nine.
      concurrency: Math.max(1, Math.floor(concurrency * share + 1e-6)),
      pageSeconds,
      retry,
      skipLimit,
      ...(durableEvery ? { durableEvery } : {}),
      ...(skip ? { skip } : {}),
      ...(rowsPerSecond ? { itemsPerSecond: rowsPerSecond * share } : {}),
      ...(setAside.length > 0 ? { setAside } : {}),
      ...(quietHours ? { quietHours } : {}),
    };
    return { ...this.#request, partition, policy };
  }

  /** What the step has learned, within its bounds; an operator's figure is kept to. */
  #commitInterval(): Pick<PagePolicy, 'chunkSize' | 'chunkBounds'> {
    const bounds = this.#run.tuning.chunkSize === undefined ? chunkBoundsOf(this.#policy) : undefined;
    if (!bounds) return { chunkSize: this.#policy.chunkSize };
    const { chunkSize = this.#policy.chunkSize } = this.#run.adapted(this.#request.step);
    return { chunkSize, chunkBounds: bounds };
  }

  #hear({ chunkSize, decisions = [] }: PartitionState): void {
    const { step } = this.#request;
    this.#run.hear({ step, ...(chunkSize === undefined ? {} : { chunkSize }), decisions });
  }

  #note(partition: number, state: PartitionState | undefined): void {
    if (state?.throttled) {
      this.throttled ??= state.throttled;
      // The job is held back as a whole: what still runs comes to rest.
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
    // Named by its type: that is what people look for, and the step's own failure says only that it failed.
    const told = [failureTypeOf(error), describeError(error)].filter(Boolean).join(': ');
    this.failures.push(`partition ${partition}: ${told}`);
    this.away &&= wasAway(error);
    const item = failedItemOf(error);
    if (item !== undefined) this.failedItems.push(item);
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
    for (const partition of partitions) if (!divisible.includes(partition)) this.#whole.add(partition);
    const still = new Set(this.#candidates(splitAfter));
    const chosen = divisible.filter((partition) => still.has(partition));
    for (const partition of chosen.slice(0, Math.max(0, this.#idleSlots()))) this.#bringToRest(partition);
  }

  #bringToRest(partition: number): void {
    const running = this.#running.get(partition);
    if (!running) return;
    running.splitting = true;
    running.scope.cancel();
  }

  /** Slots that no partition has, nor is about to have by a split that is under way. */
  #idleSlots(): number {
    const splitting = [...this.#running.values()].filter((running) => running.splitting).length;
    return this.#queue.length > 0 ? 0 : this.#slots - this.#running.size - splitting;
  }

  /** Partitions that have run for so long, in milliseconds. A redrive runs over a list of skips, which stays whole. */
  #candidates(splitAfter: number): number[] {
    if (this.#request.claim.redrives) return [];
    return [...this.#running.values()]
      .filter(({ splitting, since }) => !splitting && Date.now() - since >= splitAfter)
      .map(({ partition }) => partition)
      .filter((partition) => !this.#whole.has(partition));
  }
}

function tuned(policy: ChunkPolicy, { chunkSize, concurrency, partitions }: Tuning): ChunkPolicy {
  return {
    ...policy,
    chunkSize: chunkSize ?? policy.chunkSize,
    concurrency: concurrency ?? policy.concurrency,
    window: partitions ?? policy.window,
  };
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
