import { type Cursor, nameOfKey } from '../contract/cursor.ts';
import { failure } from '../contract/errors.ts';
import type { ChunkPolicy } from '../contract/policy.ts';
import type { Reader } from '../contract/reader.ts';
import type { Difference } from '../contract/verification.ts';
import type { WriteToken } from '../contract/write-attempt.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { ByteBudget } from '../page/byte-budget.ts';
import type { Chunk } from '../page/chunk.ts';
import type { AnyChunkWork, AnySetWork } from '../job/chunks.ts';
import { Fence } from '../page/fence.ts';
import { classifyWith } from '../page/item-errors.ts';
import { holdRepair, shutOutAttempts } from '../ledger/repair-claim.ts';
import { Pipeline } from '../page/pipeline.ts';
import { prepareChunk, tidyUp } from '../page/prepare-chunk.ts';
import { pageOfKeys, readWithin } from './redriven-work.ts';
import type { VerificationWork } from '../job/registry.ts';
import { tellSkips, writeOutputs } from '../page/write-chunk.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { enterChange, type RunStart } from '../ledger/audit.ts';

export interface Repairing {
  readonly ledger: Ledger;
  readonly budget: ByteBudget;
  readonly job: string;
  readonly instance: string;
  /** As `claimRepair` gave it. */
  readonly claimed: WriteToken;
  readonly signal: AbortSignal;
  readonly repair: NonNullable<VerificationWork['repair']>;
  /** The step that runs items again. */
  readonly work: AnyChunkWork | AnySetWork;
  readonly policy: ChunkPolicy;
}

/**
 * Puts differences right: items of the source run again through their step, keys without a source are removed. The
 * instance's books stay as they are: what a repair writes, the step has counted before.
 *
 * Each of its transactions holds the instance at rest, so that it never writes beside a run.
 *
 * @returns how many rows were removed.
 * @throws RepairRefused while the instance runs; what the step throws for an item that fails for good.
 */
export async function repairDifferences(
  repairing: Repairing,
  differences: readonly Difference[],
): Promise<number> {
  const { ledger, job, instance, claimed, repair } = repairing;
  const atRest = (body: (transaction: Transaction) => Promise<void>) =>
    ledger.transaction(async (transaction) => {
      await holdRepair(transaction, instance, claimed);
      await body(transaction);
    });
  const removed = differences.flatMap(({ remove }) => (remove ? [remove] : []));
  let gone = 0;
  if (removed.length > 0 && repair.remove)
    await atRest(async (transaction) => {
      gone = (await repair.remove?.(removed, transaction)) ?? 0;
    });
  if (removed.length > 0 && repair.clear) {
    await atRest(() => Promise.resolve());
    // What nothing leads to may be what another instance of the job is about to commit.
    await shutOutAttempts(ledger, job);
    await repair.clear(removed, claimed.fence, claimed.ledger);
  }
  const rerun = differences.flatMap((difference) => (difference.rerun ? [difference.rerun] : []));
  if (rerun.length > 0) await runAgain(repairing, rerun, atRest);
  return gone;
}

/**
 * Hands differences over to whoever writes the target. It is entered in the audit, once however often it is done.
 *
 * @returns how many rows were removed by that: none.
 */
export async function handOverDifferences(
  ledger: Ledger,
  repairing: RunStart & { readonly instance: string },
  handOver: (transaction: Transaction) => Promise<void>,
): Promise<number> {
  await ledger.transaction(async (transaction) => {
    await enterChange(transaction, { ...repairing, action: 'verify repair' });
    await handOver(transaction);
  });
  return 0;
}

async function runAgain(
  { ledger, repair, work, policy, budget, instance, claimed, signal }: Repairing,
  keys: readonly Cursor[],
  atRest: (body: (transaction: Transaction) => Promise<void>) => Promise<void>,
): Promise<void> {
  if (!('processor' in work) || !work.reader.readKeys) {
    throw failure(
      'RepairRefused',
      `${instance}: step ${repair.step} cannot read single items again (its reader has no readKeys). Start the job again instead.`,
    );
  }
  const again: AnyChunkWork = { ...work, reader: readerOfKeys(work.reader, keys) };
  const classify = classifyWith(work.classifiers, policy);
  const abort = new AbortController();
  const fence = new Fence(ledger, claimed, (transaction) => holdRepair(transaction, instance, claimed));
  const pipeline = new Pipeline({
    work: again,
    range: { lower: null, upper: null },
    after: null,
    policy,
    processing: { processor: again.processor, classify, retry: policy.retry, budget, signal: abort.signal },
    prepare: (chunk) => prepareChunk({ work: again, classify, policy, fence }, chunk),
    commit: async (chunk: Chunk) => {
      await atRest(async (transaction) => {
        await writeOutputs({ work: again, classify }, chunk, transaction);
        await tellSkips(again, chunk.skips, transaction);
      });
      await tidyUp(chunk);
    },
    abort: () => abort.abort(),
  });
  const cancelled = () => pipeline.stop('cancelled');
  signal.addEventListener('abort', cancelled, { once: true });
  try {
    await pipeline.run();
  } finally {
    signal.removeEventListener('abort', cancelled);
  }
}

/** Reads the items of these keys, in their order: its cursors are places in that order. */
function readerOfKeys(reader: Reader<unknown>, keys: readonly Cursor[]): Reader<unknown> {
  return {
    plan: () => Promise.resolve({ ranges: [{ lower: null, upper: null }], expected: keys.length }),
    read: async ({ after, limit, bytes, signal }) => {
      const first = after ? Number(after[0]) + 1 : 0;
      const wanted = keys.slice(first, first + limit);
      const places = wanted.map((key, index) => ({ place: first + index, key: nameOfKey(key), cursor: key }));
      return pageOfKeys(places, await readWithin(reader, wanted, { ...(bytes ? { bytes } : {}), signal }));
    },
  };
}
