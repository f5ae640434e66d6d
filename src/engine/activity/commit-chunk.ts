import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { ErrorClass } from '../../contract/classification.ts';
import { failureTypeOf } from '../../contract/errors.ts';
import type { RetryPolicy } from '../../contract/policy.ts';
import { CommitUnknown, inTransaction } from '../../stores/postgres/transaction.ts';
import type { AnyChunkWork } from './chunks.ts';
import { advanceCheckpoint, hasCommitted, type PartitionKey } from './ledger/checkpoint.ts';
import { recordSkips } from './ledger/skips.ts';
import type { Chunk } from './pipeline.ts';
import { backoff } from './process-item.ts';

/** What a page attempt commits as. */
export interface ChunkCommitter {
  readonly pool: pg.Pool;
  readonly key: PartitionKey;
  readonly holder: string;
  readonly work: AnyChunkWork;
  readonly retry: RetryPolicy;
  readonly classify: (error: unknown) => ErrorClass;
}

/**
 * Commits a chunk exactly once: the checkpoint's compare-and-set, the skips and the rows, in one transaction.
 *
 * A transient error rolls the chunk back and it is tried again. A connection lost at COMMIT is never taken for either
 * answer: the checkpoint says what happened.
 *
 * @param seq the checkpoint's sequence number before this chunk; it is one more afterwards.
 * @throws Fenced, Superseded, SkipLimitExceeded, or the writer's error when its retries are used up.
 */
export async function commitChunk(committer: ChunkCommitter, seq: number, chunk: Chunk): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await inTransaction(committer.pool, async (transaction) => {
        const { key, holder, work } = committer;
        await advanceCheckpoint(transaction, key, holder, seq, { ...chunk, done: chunk.last });
        if (chunk.skips.length > 0) {
          await recordSkips(transaction, key, chunk.skips);
          await work.onSkip?.(chunk.skips, transaction);
        }
        if (chunk.outputs.length > 0) await work.writer.write(chunk.outputs, transaction);
      });
      return;
    } catch (error) {
      if (error instanceof CommitUnknown && (await resolveCommit(committer, seq))) return;
      if (!mayRetry(committer, error, attempt)) throw error;
    }
    await delay(backoff(committer.retry, attempt));
  }
}

/** Asks the checkpoint until it can be reached, or the retries are used up. */
async function resolveCommit(committer: ChunkCommitter, seq: number): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await hasCommitted(committer.pool, committer.key, committer.holder, seq);
    } catch (error) {
      if (!mayRetry(committer, error, attempt)) throw error;
    }
    await delay(backoff(committer.retry, attempt));
  }
}

function mayRetry({ classify, retry }: ChunkCommitter, error: unknown, attempt: number): boolean {
  // Our own failures are verdicts, not accidents.
  if (failureTypeOf(error) !== undefined) return false;
  return attempt <= retry.retries && classify(error).decision === 'retry';
}
