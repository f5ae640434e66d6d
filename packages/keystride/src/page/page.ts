import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type { ErrorClass } from '../contract/classification.ts';
import type { PageRequest, PartitionState, Throttled } from '../contract/step-activities.ts';
import { addCounters, type Counters, type PageHeartbeat } from '../contract/progress.ts';
import { throttledBy } from '../contract/held-back.ts';
import type { CallLimiter } from '../stores/http/call-limiter.ts';
import type { ByteBudget } from './byte-budget.ts';
import { ChunkSize } from './chunk-size.ts';
import type { AnyChunkWork, AnySetWork } from '../job/chunks.ts';
import { type ChunkCommitter, commitChunk } from './commit-chunk.ts';
import { Decisions } from './decisions.ts';
import { makeDurable } from './commit-once.ts';
import { faultPoint } from './fault-points.ts';
import type { Gate, Verdict } from './gate.ts';
import { Fence } from './fence.ts';
import { classifyWith, framesOf, toFailure } from './item-errors.ts';
import {
  afterChunk,
  holdCheckpoint,
  type Lease,
  type TakenCheckpoint,
  takeCheckpoint,
} from '../ledger/checkpoint.ts';
import { idOfLedger } from '../ledger/hold-claim.ts';
import { refuseOtherOrder } from '../ledger/key-order.ts';
import { type Committed, PageTelemetry } from './page-telemetry.ts';
import { Pipeline, type PipelineRequest } from './pipeline.ts';
import { prepareChunk, tidyUp } from './prepare-chunk.ts';
import { ItemFailed, type Processing } from './process-item.ts';
import { type AlertResources, buryItem } from './dead-letter.ts';
import { commitRange, Ranges, type RangesRequest } from './ranges.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { inSpan } from '../telemetry/traces.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface PageResources extends AlertResources {
  readonly ledger: Ledger;
  readonly budget: ByteBudget;
  readonly gate: Gate;
  readonly metrics: Metrics;
}

/** How often a page says that it is alive, in milliseconds. */
const heartbeatMs = 1_000;

/** How long it does not tell of more chunks, in milliseconds: the server hears more seldom, and saying it is work. */
const tellEveryMs = 100;

/**
 * One page of a partition: takes its checkpoint, moves items through the pipeline for at most the page's time, and
 * returns where the partition stands in the ledger.
 *
 * Where it begins is always the ledger's word, never a heartbeat's: those are throttled and lost in a crash. A
 * cancellation ends the page early; what is in flight commits, and the result is as good as any other page's.
 */
export async function processPage(
  resources: PageResources,
  work: AnyChunkWork | AnySetWork,
  request: PageRequest,
): Promise<PartitionState> {
  const { ledger } = resources;
  const { claim, step, partition, policy } = request;
  const classify = withSkipPolicy(classifyWith(work.classifiers, policy), work);
  const telemetry = new PageTelemetry(resources.metrics, request);
  let state: PartitionState | undefined;
  try {
    const taken = await takeCheckpoint(ledger, { claim, step, partition }, randomUUID());
    await refuseOtherOrder(work.reader, taken);
    const onRetry = (found: ErrorClass) => telemetry.retried('write', found);
    const committer = { ledger, policy, classify, onRetry };
    return (state = await new Page(committer, taken, work, request, resources, telemetry).run());
  } catch (error) {
    const where = `${claim.instance} step ${step} partition ${partition}`;
    const place = { step, partitions: [partition], items: [] };
    if (!(error instanceof ItemFailed)) {
      const failed = toFailure(error, classifyWith(undefined)(error), where, place);
      // Temporal no longer listens to an attempt that was overtaken: the log alone can tell of it.
      if (failed.type === 'Fenced' || failed.type === 'Superseded')
        Context.current().log.warn(failed.message);
      throw failed;
    }
    await buryItem(resources, request, error);
    const { phase, key: item, attempts, found, cause } = error;
    // Temporal is told what happened and where in the data; where in the code is for the log.
    Context.current().log.error(`${phase} failed`, {
      ...{ instance: claim.instance, step, partition, key: item, attempts, code: found.code },
      ...{ reason: error.message, stack: framesOf(cause) },
    });
    throw toFailure(
      cause,
      found,
      `${where}, ${phase} of key ${item} (attempt ${attempts})`,
      error.single ? { ...place, items: [item] } : place,
      error.message,
    );
  } finally {
    telemetry.ended(state);
  }
}

function withSkipPolicy(
  classify: (error: unknown) => ErrorClass,
  work: AnyChunkWork | AnySetWork,
): (error: unknown) => ErrorClass {
  if (!('skipPolicy' in work)) return classify;
  return (error) => {
    const found = classify(error);
    return found.decision === 'fail' && work.skipPolicy?.(error) === true
      ? { ...found, decision: 'skip' }
      : found;
  };
}

/** What moves a partition on for the time of a page. */
interface Moving {
  readonly inFlight: number;
  run(): Promise<boolean>;
  stop(reason: 'pageOver' | 'cancelled'): void;
}

class Page {
  readonly #committer: Omit<ChunkCommitter, 'work' | 'chunkSize'>;
  readonly #taken: TakenCheckpoint;
  readonly #work: AnyChunkWork | AnySetWork;
  readonly #request: PageRequest;
  readonly #resources: PageResources;
  readonly #telemetry: PageTelemetry;
  readonly #ending = new AbortController();
  readonly #abort = new AbortController();
  readonly #decisions: Decisions;
  readonly #chunkSize: ChunkSize;
  #waiting: string | null = null;
  #throttled: Throttled | undefined;
  #toldUnreadable = false;
  #toldAt = Number.NEGATIVE_INFINITY;
  #counters: Counters;
  #lease: Lease;
  #moving: Moving | undefined;
  #calls: CallLimiter | undefined;

  constructor(
    committer: Omit<ChunkCommitter, 'work' | 'chunkSize'>,
    taken: TakenCheckpoint,
    work: AnyChunkWork | AnySetWork,
    request: PageRequest,
    resources: PageResources,
    telemetry: PageTelemetry,
  ) {
    this.#committer = committer;
    this.#taken = taken;
    this.#counters = taken.counters;
    this.#lease = taken.lease;
    this.#work = work;
    this.#request = request;
    this.#resources = resources;
    this.#telemetry = telemetry;
    this.#decisions = new Decisions(request.partition);
    const { chunkSize, chunkBounds } = request.policy;
    this.#chunkSize = new ChunkSize(chunkSize, chunkBounds, this.#decisions);
  }

  async run(): Promise<PartitionState> {
    const { range, cursor: after, counters, done, fence } = this.#taken;
    const { partition, policy } = this.#request;
    if (done) return { partition, done, counters };
    const { quietHours } = policy;
    if (this.#mustNotGoOn(await this.#resources.gate.ask(quietHours, temporalMs())))
      return this.#state(false);
    const work = this.#work;
    const place = { range, after, policy };
    if (!('processor' in work)) return this.#answer(await this.#timed(this.#ranges(work, place)));
    const ignore = this.#watchCalls(work);
    try {
      return await this.#answer(await this.#timed(this.#pipeline(work, place, fence)));
    } finally {
      ignore();
    }
  }

  /** What Temporal is told has happened must outlast a crash of the database. */
  async #answer(done: boolean): Promise<PartitionState> {
    if (this.#request.policy.durableEvery === 'page') await makeDurable(this.#committer, this.#lease);
    return this.#state(done);
  }

  /** What lets the step's calls out decides for all its pages in this worker; one of them tells. */
  #watchCalls(work: AnyChunkWork): () => void {
    const { claim, step } = this.#request;
    this.#calls = work.calls?.();
    const ignore = this.#calls?.watch(`${claim.instance} ${step}`, ({ from, to, reason }) =>
      this.#decisions.add('concurrency', from, to, reason),
    );
    return () => {
      ignore?.();
      if (this.#calls) this.#telemetry.calls(this.#calls);
    };
  }

  #state(done: boolean): PartitionState {
    const { learned } = this.#chunkSize;
    const { list } = this.#decisions;
    const { retries } = this.#telemetry;
    return {
      partition: this.#request.partition,
      done,
      counters: this.#counters,
      ...(learned === undefined ? {} : { chunkSize: learned }),
      ...(list.length > 0 ? { decisions: list } : {}),
      ...(Object.keys(retries).length > 0 ? { retries } : {}),
      ...(this.#throttled && !done ? { throttled: this.#throttled } : {}),
    };
  }

  /** Whether the page is throttled; a health that could not be read is told once. */
  #mustNotGoOn({ throttled, unreadable }: Verdict): boolean {
    if (unreadable !== null && !this.#toldUnreadable) {
      this.#toldUnreadable = true;
      const reason = `went on without knowing the health of ${unreadable}`;
      this.#decisions.add('throttled', null, null, reason);
      Context.current().log.warn(reason);
    }
    if (throttled) this.#throttled = throttled;
    return throttled !== null;
  }

  #pipeline(
    work: AnyChunkWork,
    place: Pick<PipelineRequest, 'range' | 'after' | 'policy'>,
    fence: number,
  ): Moving {
    const committer = { ...this.#committer, work, chunkSize: this.#chunkSize };
    const { epoch, ledger } = this.#lease.claim;
    const token = { epoch, fence, ...(ledger !== undefined && { ledger: idOfLedger(ledger) }) };
    const preparing = {
      ...committer,
      fence: new Fence(committer.ledger, token, (transaction) => holdCheckpoint(transaction, this.#lease)),
      onRetry: (found: Pick<ErrorClass, 'code'>) => this.#telemetry.retried('prepare', found),
    };
    return new Pipeline({
      ...place,
      work,
      chunkSize: this.#chunkSize,
      processing: this.#processing(work),
      prepare: (chunk) => prepareChunk(preparing, chunk),
      commit: async (chunk) => {
        const items = chunk.outputs.length + chunk.skips.length + chunk.filtered;
        await this.#commit(items, (lease) => commitChunk(committer, lease, chunk));
        await tidyUp(chunk);
      },
      end: () => this.#ending.abort(),
      abort: () => this.#abort.abort(),
    });
  }

  #ranges(work: AnySetWork, place: Pick<RangesRequest, 'range' | 'after' | 'policy'>): Moving {
    const committer = { ...this.#committer, work, chunkSize: this.#chunkSize };
    return new Ranges({
      ...place,
      work,
      chunkSize: this.#chunkSize,
      commit: (rows, last) =>
        this.#commit(rows?.rows ?? 0, (lease) => commitRange(committer, lease, rows, last)),
    });
  }

  async #commit(items: number, commit: (lease: Lease) => Promise<Committed>): Promise<void> {
    const begun = performance.now();
    const added = await inSpan('chunk', { items }, () => commit(this.#lease));
    this.#lease = afterChunk(this.#lease);
    this.#counters = addCounters(this.#counters, added.counters);
    this.#telemetry.committed(added, performance.now() - begun);
    if (performance.now() - this.#toldAt >= tellEveryMs) this.#heartbeat();
  }

  async #timed(moving: Moving): Promise<boolean> {
    this.#moving = moving;
    const { cancellationSignal } = Context.current();
    const cancelled = () => moving.stop('cancelled');
    const pageOver = setTimeout(() => moving.stop('pageOver'), this.#request.policy.pageSeconds * 1000);
    const alive = setInterval(() => this.#look(moving), heartbeatMs);
    cancellationSignal.addEventListener('abort', cancelled, { once: true });
    this.#heartbeat();
    if (cancellationSignal.aborted) cancelled();
    try {
      return await moving.run();
    } catch (error) {
      // What this attempt has tried again the next one goes on counting from.
      this.#heartbeat();
      const throttled = throttledBy(error);
      if (!throttled) throw error;
      this.#throttled = throttled;
      return false;
    } finally {
      clearTimeout(pageOver);
      clearInterval(alive);
      cancellationSignal.removeEventListener('abort', cancelled);
    }
  }

  /** What there is to be done every second, whether chunks commit or not. */
  #look(moving: Moving): void {
    this.#heartbeat();
    if (this.#calls) this.#telemetry.calls(this.#calls);
    if (this.#throttled) return;
    const { quietHours } = this.#request.policy;
    if (this.#mustNotGoOn(this.#resources.gate.glance(quietHours, temporalMs()))) moving.stop('pageOver');
  }

  #processing({ processor }: AnyChunkWork): Processing {
    return {
      processor,
      classify: this.#committer.classify,
      retry: this.#request.policy.retry,
      budget: this.#resources.budget,
      signal: this.#abort.signal,
      ending: this.#ending.signal,
      onRetry: (found) => this.#telemetry.retried('process', found),
      onWait: (reason) => void (this.#waiting = reason),
    };
  }

  #heartbeat(): void {
    faultPoint('heartbeat');
    this.#toldAt = performance.now();
    // Of what is done within a workflow task, the task is what is missed.
    if (Context.current().info.isLocal) return;
    const { step, partition } = this.#request;
    const details: PageHeartbeat = {
      step,
      partition,
      counters: this.#counters,
      inFlight: this.#moving?.inFlight ?? 0,
      chunkSize: this.#chunkSize.present,
      concurrency: Math.min(this.#request.policy.concurrency, this.#calls?.limit ?? Number.POSITIVE_INFINITY),
      waiting: this.#waiting,
      retries: this.#telemetry.retries,
    };
    Context.current().heartbeat(details);
  }
}

/** When Temporal gave this page out, by its clock. */
function temporalMs(): number {
  return Context.current().info.currentAttemptScheduledTimestampMs;
}
