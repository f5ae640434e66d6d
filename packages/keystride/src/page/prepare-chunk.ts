import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { ErrorClass } from '../contract/classification.ts';
import type { RetryPolicy } from '../contract/policy.ts';
import { OvertakenWrite } from '../contract/write-attempt.ts';
import { type Chunk, withSkips } from './chunk.ts';
import { PartialWrite } from '../job/chunks.ts';
import { faultPoint } from './fault-points.ts';
import type { Fence } from './fence.ts';
import { safeMessage } from '../stores/safe-message.ts';
import { inSpan } from '../telemetry/traces.ts';
import type { Skip } from '../ledger/skips.ts';
import { backoff } from './process-item.ts';
import { separateItems } from './separate-items.ts';
import { type ChunkWriting, settlePartialWrite } from './write-chunk.ts';

interface Preparing extends ChunkWriting {
  readonly policy: { readonly retry: RetryPolicy };
  readonly fence: Fence;
  /** Told of each write that is to be tried again. */
  onRetry?(found: Pick<ErrorClass, 'code'>): void;
}

/**
 * Lets the writer write a chunk outside of its transaction, and tries again what may pass: the whole chunk, since such
 * writes are idempotent, or just the items that failed where the writer knows them. Where it does not, those that fail for
 * good are found by writing halves. Each write has a fence of its own, above those before it and above what it has met in
 * the store.
 *
 * @returns the chunk with the items that cannot be written as skips.
 * @throws Fenced, Superseded when a store has refused for a later attempt; ItemFailed, or the writer's error when retries
 *   are used up.
 */
export async function prepareChunk(writing: Preparing, chunk: Chunk): Promise<Chunk> {
  const { writer } = writing.work;
  if (!writer.prepare) return chunk;
  return inSpan('prepare', { items: chunk.outputs.length }, () => prepareWith(writing, chunk));
}

async function prepareWith(writing: Preparing, chunk: Chunk): Promise<Chunk> {
  const { retry } = writing.policy;
  const skipped = new Map<number, Skip>();
  const afterCommit: (() => Promise<void>)[] = [];
  const write = fencedWrite(writing, chunk, (work) => void afterCommit.push(work));
  let indexes = chunk.outputs.map((_, index) => index);
  for (let attempt = 1; indexes.length > 0; attempt++) {
    try {
      await write(indexes);
      break;
    } catch (error) {
      const mayRetry = attempt <= retry.retries;
      if (error instanceof PartialWrite) {
        const settled = settlePartialWrite(writing, chunk, indexes, error, attempt, mayRetry);
        for (const [index, skip] of settled.skipped) skipped.set(index, skip);
        indexes = settled.again;
        if (indexes.length === 0) break;
        writing.onRetry?.({ code: 'PARTIAL_WRITE' });
      } else {
        const found = writing.classify(error);
        if (!mayRetry || found.decision !== 'retry') {
          const failed = { indexes, error, attempts: attempt, again: write };
          const separated = await separateItems(writing, chunk, failed);
          for (const [index, skip] of separated) skipped.set(index, skip);
          break;
        }
        writing.onRetry?.(found);
      }
    }
    await delay(backoff(retry, attempt));
  }
  faultPoint('afterPrepare');
  return withSkips(afterCommit.length > 0 ? { ...chunk, afterCommit } : chunk, skipped);
}

/** Writes outputs by their places, the first time under the token that the attempt has, then each time under a higher one. */
function fencedWrite(
  { work: { writer }, fence }: Preparing,
  { outputs }: Chunk,
  afterCommit: (work: () => Promise<void>) => void,
): (indexes: readonly number[]) => Promise<void> {
  let above: number | undefined;
  return async (indexes) => {
    for (;;) {
      try {
        if (above !== undefined) await fence.renew(above);
        above = 0;
        return await writer.prepare?.(
          indexes.map((index) => outputs[index]),
          { ...fence.token, afterCommit },
        );
      } catch (error) {
        if (!(error instanceof OvertakenWrite)) throw error;
        // Nothing was wrong with the write: the ledger says now whether this attempt may go above.
        above = error.fence;
      }
    }
  };
}

/** Does what a chunk's writer wanted done after the commit. The chunk has committed whatever becomes of it. */
export async function tidyUp({ afterCommit = [] }: Chunk): Promise<void> {
  for (const work of afterCommit) {
    try {
      await work();
    } catch (error) {
      Context.current().log.warn('something that a chunk has replaced in another store is left', {
        reason: safeMessage(error),
      });
    }
  }
}
