import { setTimeout as delay } from 'node:timers/promises';
import type { RetryPolicy } from '../../contract/policy.ts';
import { type Chunk, withSkips } from './chunk.ts';
import { PartialWrite } from './chunks.ts';
import { faultPoint } from './fault-points.ts';
import type { Skip } from './ledger/skips.ts';
import { backoff } from './process-item.ts';
import { separateItems } from './separate-items.ts';
import { type ChunkWriting, settlePartialWrite } from './write-chunk.ts';

/**
 * Lets the writer write a chunk outside of its transaction, and tries again what may pass: the whole chunk, since such
 * writes are idempotent, or just the items that failed where the writer knows them. Where it does not, those that fail for
 * good are found by writing halves.
 *
 * @returns the chunk with the items that cannot be written as skips.
 * @throws ItemFailed, or the writer's error when retries are used up.
 */
export async function prepareChunk(
  writing: ChunkWriting & { readonly policy: { readonly retry: RetryPolicy } },
  chunk: Chunk,
): Promise<Chunk> {
  const { writer } = writing.work;
  const { retry } = writing.policy;
  if (!writer.prepare) return chunk;
  const skipped = new Map<number, Skip>();
  const write = (outputs: readonly unknown[]) => writer.prepare?.(outputs) ?? Promise.resolve();
  let indexes = chunk.outputs.map((_, index) => index);
  for (let attempt = 1; indexes.length > 0; attempt++) {
    try {
      await write(indexes.map((index) => chunk.outputs[index]));
      break;
    } catch (error) {
      const mayRetry = attempt <= retry.retries;
      if (error instanceof PartialWrite) {
        const settled = settlePartialWrite(writing, chunk, indexes, error, attempt, mayRetry);
        for (const [index, skip] of settled.skipped) skipped.set(index, skip);
        indexes = settled.again;
      } else if (!mayRetry || writing.classify(error).decision !== 'retry') {
        const again = (some: readonly number[]) => write(some.map((index) => chunk.outputs[index]));
        const found = await separateItems(writing, chunk, { indexes, error, attempts: attempt, again });
        for (const [index, skip] of found) skipped.set(index, skip);
        break;
      }
    }
    if (indexes.length > 0) await delay(backoff(retry, attempt));
  }
  faultPoint('afterPrepare');
  return withSkips(chunk, skipped);
}
