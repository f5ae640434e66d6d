import { randomUUID } from 'node:crypto';
import type { Logger } from '@temporalio/common';
import type { DivisibleRequest, SplitPartitionRequest } from '../contract/step-activities.ts';
import type { RangeSplit } from '../contract/reader.ts';
import type { AnyChunkWork, AnySetWork } from '../job/chunks.ts';
import { safeMessage } from '../page/item-errors.ts';
import { refuseOtherOrder } from '../ledger/key-order.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { type Checkpoint, type TakenCheckpoint, takeCheckpoint } from '../ledger/checkpoint.ts';
import { readCheckpoints, splitCheckpoint } from '../ledger/split.ts';

type Divided = Pick<(AnyChunkWork | AnySetWork)['reader'], 'order' | 'split'>;

/** What an activity's context gives. */
export interface SplitContext {
  readonly cancellationSignal: AbortSignal;
  readonly log: Logger;
}

/**
 * Asks a step's reader how much is left of partitions that are running. Nothing is changed, so they need not rest.
 *
 * @returns those that can be cut in two, the one with most left first; none when the reader cannot cut ranges.
 */
export async function findDivisible(
  ledger: Ledger,
  { reader }: { readonly reader: Divided },
  request: DivisibleRequest,
  { cancellationSignal }: Pick<SplitContext, 'cancellationSignal'>,
): Promise<readonly number[]> {
  if (!reader.split) return [];
  const found: { readonly partition: number; readonly items: number }[] = [];
  // One after another: pages need the connections more.
  for (const checkpoint of await readCheckpoints(ledger, request, request.partitions)) {
    if (checkpoint.done) continue;
    const split = await cutOf(reader, checkpoint, request.fewest, cancellationSignal);
    if (split) found.push({ partition: checkpoint.partition, items: split.items });
  }
  return found
    .toSorted((a, b) => b.items - a.items || a.partition - b.partition)
    .map(({ partition }) => partition);
}

/**
 * Cuts what is left of a partition in two, for a slot that has fallen idle.
 *
 * The workflow has brought the partition to rest before: a page that went on would read to the old upper end. One
 * thought dead may live all the same, so the checkpoint is taken first, as a page attempt takes it. From then on
 * nothing else commits to the partition, what is read of it stays true, and the cut is made behind all that has
 * committed. Where nothing can be cut, nothing is changed but the holder, and the partition goes on as it was.
 *
 * Asked again after its answer was lost, it finds the new partition and says so.
 *
 * @throws Fenced, Superseded.
 */
export async function splitPartition(
  ledger: Ledger,
  { reader }: { readonly reader: Divided },
  request: SplitPartitionRequest,
  context: SplitContext,
): Promise<boolean> {
  const { claim, step, partition, into, fewest } = request;
  const key = { claim, step, partition };
  const taken = await takeCheckpoint(ledger, key, randomUUID());
  if ((await readCheckpoints(ledger, request, [into])).length > 0) return true;
  const { cancellationSignal, log } = context;
  const place = { instance: claim.instance, step, partition };
  const cut = taken.done
    ? null
    : await cutInOrder(reader, taken, fewest, cancellationSignal).catch((error: unknown) => {
        // To split is a convenience: a source that cannot be asked must not end the step for it.
        log.warn('a partition stays whole', { ...place, message: safeMessage(error) });
        return null;
      });
  if (cut === null) return false;
  await splitCheckpoint(ledger, taken, cut.at, into);
  log.info('partition split', { ...place, into });
  return true;
}

/** A cut in another order than that of the range would be outside of it when the order is back. */
async function cutInOrder(
  reader: Divided,
  taken: TakenCheckpoint,
  ...asked: [fewest: number, signal: AbortSignal]
): Promise<RangeSplit | null> {
  await refuseOtherOrder(reader, taken);
  return cutOf(reader, taken, ...asked);
}

async function cutOf(
  reader: Divided,
  { range, cursor }: Checkpoint,
  fewest: number,
  signal: AbortSignal,
): Promise<RangeSplit | null> {
  return (await reader.split?.({ range, after: cursor, fewest, signal })) ?? null;
}
