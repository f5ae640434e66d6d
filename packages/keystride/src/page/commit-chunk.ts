import { setTimeout as delay } from 'node:timers/promises';
import type { PagePolicy } from '../contract/step-activities.ts';
import type { ErrorClass } from '../contract/classification.ts';
import { failureTypeOf } from '../contract/errors.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { type Chunk, countersOfChunk, withSkips } from './chunk.ts';
import type { Committed } from './page-telemetry.ts';
import type { ChunkSize } from './chunk-size.ts';
import type { AnyChunkWork } from '../job/chunks.ts';
import { commitOnce, type Committer, isCancelled } from './commit-once.ts';
import { faultPoint } from './fault-points.ts';
import { advanceCheckpoint, amendCounters, type Lease } from '../ledger/checkpoint.ts';
import { skipBooksOf } from '../ledger/skip-books.ts';
import { recordSkips } from '../ledger/skips.ts';
import { backoff, ItemFailed } from './process-item.ts';
import {
  isSkippable,
  tellSkips,
  writeBisecting,
  writeOutputs,
  WriterFailed,
  writeSkip,
} from './write-chunk.ts';

/** What a page attempt of items commits with. */
export interface ChunkCommitter extends Committer {
  readonly work: AnyChunkWork;
  readonly policy: Pick<PagePolicy, 'retry' | 'durableEvery' | 'skipLimit' | 'skip'>;
  readonly chunkSize: ChunkSize;
}

/**
 * Commits a chunk exactly once: the checkpoint's compare-and-set, the rows and the skips, in one transaction.
 *
 * A transient error rolls the chunk back and it is tried again. What was cancelled by the statement time-out is written
 * by halves, each of which has the whole of that time, and uses up no retry. When items cannot be written and may be
 * skipped, the chunk is written once more in halves, to find them. A connection lost at COMMIT is never taken for either
 * answer: the checkpoint says what happened.
 *
 * @param lease as it is before this chunk.
 * @returns what the chunk has added.
 * @throws Fenced, Superseded, SkipLimitExceeded, ItemFailed, or the writer's error when its retries are used up.
 */
export async function commitChunk(committer: ChunkCommitter, lease: Lease, given: Chunk): Promise<Committed> {
  let chunk = given;
  let bisect = false;
  let readUpTo: string | null | undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      // Before the transaction: what waits for a connection there would hold one.
      const maySkip = bisect || chunk.skips.length > 0;
      readUpTo ??= maySkip ? await committer.work.reader.position?.() : undefined;
      const writing = { ...committer, readUpTo };
      const committed = await commitByHalves(writing, lease, chunk, bisect ? attempt - 1 : undefined);
      return { counters: countersOfChunk(committed), skips: committed.skips };
    } catch (error) {
      const next = nextTry(committer, error, attempt, bisect);
      if (next === 'give up')
        throw error instanceof WriterFailed ? failedFor(committer, chunk, error, attempt) : error;
      if (next === 'bisect') {
        // One item alone need not be looked for.
        if (chunk.outputs.length === 1) chunk = withoutOnly(committer, chunk, error, attempt);
        else bisect = true;
        continue;
      }
    }
    await delay(backoff(committer.policy.retry, attempt));
  }
}

/** The same for one chunk. */
interface ChunkWriter extends ChunkCommitter {
  /** How far the source had come when its items were set aside. */
  readonly readUpTo?: string | null | undefined;
}

/** Commits a chunk, by smaller and smaller parts as long as a part is too much for one statement. */
async function commitByHalves(
  committer: ChunkWriter,
  lease: Lease,
  chunk: Chunk,
  bisectAfter: number | undefined,
): Promise<Chunk> {
  for (;;) {
    let written = chunk;
    try {
      await commitOnce(committer, lease, async (transaction) => {
        written = await writeChunk(committer, lease, chunk, transaction, bisectAfter);
      });
      return written;
    } catch (error) {
      if (!(error instanceof WriterFailed) || !isCancelled(committer.classify(error.cause))) throw error;
      if (!committer.chunkSize.wasCancelled(error.items, error.message)) throw error;
    }
  }
}

/** @param bisectAfter how often the chunk has been tried before it is written in halves; undefined writes it whole. */
async function writeChunk(
  committer: ChunkWriter,
  lease: Lease,
  chunk: Chunk,
  transaction: Transaction,
  bisectAfter: number | undefined,
): Promise<Chunk> {
  const { work, policy } = committer;
  const expected = countersOfChunk(chunk);
  const advance = { cursor: chunk.cursor, counters: expected, done: chunk.last };
  await advanceCheckpoint(transaction, lease, advance);
  faultPoint('afterCompareAndSet');
  const written =
    bisectAfter === undefined
      ? await writeOutputs(committer, chunk, transaction)
      : await writeBisecting(committer, chunk, transaction, bisectAfter, policy.skipLimit);
  const counted = countersOfChunk(written);
  await amendCounters(transaction, lease, {
    read: counted.read - expected.read,
    filtered: counted.filtered - expected.filtered,
    written: counted.written - expected.written,
    skipped: counted.skipped - expected.skipped,
  });
  faultPoint('afterWrites');
  if (written.skips.length > 0) {
    await recordSkips(transaction, lease, written.skips, {
      rate: policy.skip?.rate,
      keepItem: work.keepItem,
      readUpTo: committer.readUpTo,
    });
    await tellSkips(work, written.skips, transaction);
  }
  await skipBooksOf(lease.claim).settle(transaction, lease, written);
  return written;
}

function nextTry(
  { classify, policy, onRetry }: ChunkCommitter,
  error: unknown,
  attempt: number,
  bisecting: boolean,
): 'again' | 'bisect' | 'give up' {
  // Our own failures are verdicts, not accidents.
  if (failureTypeOf(error) !== undefined || error instanceof ItemFailed) return 'give up';
  const found = classify(error instanceof WriterFailed ? error.cause : error);
  if (found.decision === 'retry' && attempt <= policy.retry.retries) {
    onRetry?.(found);
    return 'again';
  }
  return error instanceof WriterFailed && !bisecting && isSkippable(found) ? 'bisect' : 'give up';
}

/** A chunk whose only output could not be written, with that as a skip. */
function withoutOnly({ classify }: ChunkCommitter, chunk: Chunk, error: unknown, attempts: number): Chunk {
  const cause = error instanceof WriterFailed ? error.cause : error;
  const [item] = chunk.sources();
  return item ? withSkips(chunk, new Map([[0, writeSkip(item, cause, classify(cause), attempts)]])) : chunk;
}

/** The failure of a chunk that nothing may be skipped of: told by its first key. */
function failedFor(
  { classify }: ChunkCommitter,
  chunk: Chunk,
  error: WriterFailed,
  attempts: number,
): ItemFailed {
  const others = chunk.outputs.length - 1;
  const keys = `${chunk.sources()[0]?.key}${others > 0 ? ` and ${others} more` : ''}`;
  const found = classify(error.cause);
  // What a store calls transient the page meets again; what the step's policy alone retries has had its retries.
  const settled: ErrorClass = found.exhausted === 'fail' ? { ...found, decision: 'fail' } : found;
  const items = chunk.sources().map(({ item }) => item);
  return new ItemFailed(error.cause, settled, keys, attempts, 'write', others === 0, items);
}
