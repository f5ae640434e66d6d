import { failureTypeOf } from '../contract/errors.ts';
import type { Chunk } from './chunk.ts';
import { PartialWrite } from '../job/chunks.ts';
import type { Item } from './block.ts';
import type { Skip } from '../ledger/skips.ts';
import { ItemFailed } from './process-item.ts';
import { type ChunkWriting, isSkippable, settlePartialWrite, writeSkip } from './write-chunk.ts';

/** A write outside of the transaction that failed as a whole. */
export interface FailedWrite {
  /** Places in the chunk's outputs. */
  readonly indexes: readonly number[];
  readonly error: unknown;
  readonly attempts: number;
  /** Writes these again; writing twice changes nothing. */
  again(indexes: readonly number[]): Promise<void>;
}

/**
 * Finds the items that make a write fail, by writing halves of it until those are alone: k bad items among n cost about
 * 2·k·log2(n) writes, and every other item is written.
 *
 * @returns the skips of those that may be set aside, by their place.
 * @throws ItemFailed for an item that may not, and what a store that is away has raised.
 */
export async function separateItems(
  writing: ChunkWriting,
  chunk: Chunk,
  failed: FailedWrite,
): Promise<ReadonlyMap<number, Skip>> {
  const { attempts, again } = failed;
  const sources = chunk.sources();
  const skipped = new Map<number, Skip>();
  let othersWritten = false;
  const writePart = async (part: readonly number[]): Promise<void> => {
    try {
      await again(part);
      othersWritten = true;
    } catch (error) {
      await settle(part, error);
    }
  };
  const settle = async (part: readonly number[], error: unknown): Promise<void> => {
    if (error instanceof PartialWrite) {
      const settled = settlePartialWrite(writing, chunk, part, error, attempts, false);
      for (const [index, skip] of settled.skipped) skipped.set(index, skip);
      return;
    }
    const found = writing.classify(error);
    const isAway = found.decision === 'retry' && !isSkippable(found);
    if (isAway || failureTypeOf(error) !== undefined) throw error;
    if (part.length > 1) {
      const middle = Math.ceil(part.length / 2);
      await writePart(part.slice(0, middle));
      return writePart(part.slice(middle));
    }
    const [index = 0] = part;
    const item = sources[index] as Item;
    if (isSkippable(found)) skipped.set(index, writeSkip(item, error, found, attempts));
    else {
      const alone = othersWritten || (await canWriteAnother(failed, index));
      const others = alone ? '' : ` and ${failed.indexes.length - 1} more`;
      throw new ItemFailed(error, found, `${item.key}${others}`, attempts, 'write', alone, [item.item]);
    }
  };
  await settle(failed.indexes, failed.error);
  return skipped;
}

/** Whether it is this item that is at fault, and not the store that takes none. */
async function canWriteAnother({ indexes, again }: FailedWrite, index: number): Promise<boolean> {
  const another = indexes.find((other) => other !== index);
  if (another === undefined) return true;
  return again([another]).then(
    () => true,
    () => false,
  );
}
