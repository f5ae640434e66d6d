import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type pg from 'pg';
import type { ErrorClass } from '../../contract/classification.ts';
import type { PageRequest, PartitionState } from '../../contract/activities.ts';
import { addCounters, type PageHeartbeat } from '../../contract/progress.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { AnyChunkWork } from './chunks.ts';
import { type ChunkCommitter, commitChunk } from './commit-chunk.ts';
import { faultPoint } from './fault-points.ts';
import { classifyWith, framesOf, toFailure } from './item-errors.ts';
import { type Checkpoint, type PartitionKey, takeCheckpoint } from './ledger/checkpoint.ts';
import { Pipeline } from './pipeline.ts';
import { prepareChunk } from './prepare-chunk.ts';
import { ItemFailed, type Processing } from './process-item.ts';

export interface PageResources {
  readonly ledger: pg.Pool;
  readonly budget: ByteBudget;
}

/** How often a page says that it is alive, in milliseconds. */
const heartbeatMs = 1_000;

/**
 * One page of a partition: takes its checkpoint, moves items through the pipeline for at most the page's time, and
 * returns where the partition stands in the ledger.
 *
 * Where it begins is always the ledger's word, never a heartbeat's: those are throttled and lost in a crash. A
 * cancellation ends the page early; what is in flight commits, and the result is as good as any other page's.
 */
export async function processPage(
  { ledger, budget }: PageResources,
  work: AnyChunkWork,
  request: PageRequest,
): Promise<PartitionState> {
  const { claim, step, partition, policy } = request;
  const key: PartitionKey = { claim, step, partition };
  const holder = randomUUID();
  const classify = withSkipPolicy(classifyWith(work.classifiers, policy), work);
  const page = new Page({ pool: ledger, key, holder, work, policy, classify }, request, budget);
  try {
    return await page.run(await takeCheckpoint(ledger, key, holder));
  } catch (error) {
    const place = `${claim.instance} step ${step} partition ${partition}`;
    if (!(error instanceof ItemFailed)) {
      const failed = toFailure(error, classifyWith(undefined)(error), place);
      // Temporal no longer listens to an attempt that was overtaken: the log alone can tell of it.
      if (failed.type === 'Fenced' || failed.type === 'Superseded')
        Context.current().log.warn(failed.message);
      throw failed;
    }
    const { phase, key: item, attempts, found, cause } = error;
    // Temporal is told what happened and where in the data; where in the code is for the log.
    Context.current().log.error(`${phase} failed`, {
      ...{ instance: claim.instance, step, partition, key: item, attempts, code: found.code },
      ...{ reason: error.message, stack: framesOf(cause) },
    });
    throw toFailure(
      cause,
      found,
      `${place}, ${phase} of key ${item} (attempt ${attempts})`,
      error.single ? item : undefined,
    );
  }
}

function withSkipPolicy(
  classify: (error: unknown) => ErrorClass,
  work: AnyChunkWork,
): (error: unknown) => ErrorClass {
  if (!work.skipPolicy) return classify;
  return (error) => {
    const found = classify(error);
    return found.decision === 'fail' && work.skipPolicy?.(error) === true
      ? { ...found, decision: 'skip' }
      : found;
  };
}

class Page {
  readonly #committer: ChunkCommitter;
  readonly #request: PageRequest;
  readonly #budget: ByteBudget;
  readonly #abort = new AbortController();
  #waiting: string | null = null;

  constructor(committer: ChunkCommitter, request: PageRequest, budget: ByteBudget) {
    this.#committer = committer;
    this.#request = request;
    this.#budget = budget;
  }

  async run(checkpoint: Checkpoint): Promise<PartitionState> {
    const { partition, policy } = this.#request;
    let { counters, seq } = checkpoint;
    if (checkpoint.done) return { partition, done: true, counters };
    const pipeline = new Pipeline({
      work: this.#committer.work,
      range: checkpoint.range,
      after: checkpoint.cursor,
      policy,
      processing: this.#processing(),
      prepare: (chunk) => prepareChunk(this.#committer, chunk),
      commit: async (chunk) => {
        const added = await commitChunk(this.#committer, seq, chunk);
        seq += 1;
        counters = addCounters(counters, added);
        heartbeat();
      },
      abort: () => this.#abort.abort(),
    });
    const heartbeat = () => this.#heartbeat({ counters, inFlight: pipeline.inFlight });
    const done = await this.#timed(pipeline, heartbeat);
    return { partition, done, counters };
  }

  async #timed(pipeline: Pipeline, heartbeat: () => void): Promise<boolean> {
    const { cancellationSignal } = Context.current();
    const cancelled = () => pipeline.stop('cancelled');
    const pageOver = setTimeout(() => pipeline.stop('pageOver'), this.#request.policy.pageSeconds * 1000);
    const alive = setInterval(heartbeat, heartbeatMs);
    cancellationSignal.addEventListener('abort', cancelled, { once: true });
    heartbeat();
    if (cancellationSignal.aborted) cancelled();
    try {
      return await pipeline.run();
    } finally {
      clearTimeout(pageOver);
      clearInterval(alive);
      cancellationSignal.removeEventListener('abort', cancelled);
    }
  }

  #processing(): Processing {
    const { classify, work } = this.#committer;
    return {
      processor: work.processor,
      classify,
      retry: this.#request.policy.retry,
      budget: this.#budget,
      signal: this.#abort.signal,
      onWait: (reason) => void (this.#waiting = reason),
    };
  }

  #heartbeat(figures: Pick<PageHeartbeat, 'counters' | 'inFlight'>): void {
    faultPoint('heartbeat');
    const { step, partition } = this.#request;
    const details: PageHeartbeat = { step, partition, ...figures, waiting: this.#waiting };
    Context.current().heartbeat(details);
  }
}
