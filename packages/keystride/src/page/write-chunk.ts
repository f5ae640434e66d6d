import type { ErrorClass } from '../contract/classification.ts';
import { failure, ToldError } from '../contract/errors.ts';
import { isCount, kindOf, UnusableAnswer } from '../contract/unusable-answer.ts';
import { awaited, type Transaction } from '../stores/postgres/transaction.ts';
import type { Item } from './block.ts';
import { type Chunk, withSkips } from './chunk.ts';
import type { ChunkSize } from './chunk-size.ts';
import type { AnyChunkWork, PartialWrite } from '../job/chunks.ts';
import { safeMessage } from './item-errors.ts';
import type { Skip } from '../ledger/skips.ts';
import { ItemFailed } from './process-item.ts';

/** What a writer threw, as opposed to the ledger or the connection around it. */
export class WriterFailed extends ToldError {
  override readonly name = 'WriterFailed';
  /** Items that the writer was given. */
  readonly items: number;

  constructor(cause: unknown, outputs: readonly unknown[]) {
    super(safeMessage(cause, { items: outputs, key: '' }), { cause });
    this.items = outputs.length;
  }
}

export interface ChunkWriting {
  readonly work: AnyChunkWork;
  readonly classify: (error: unknown) => ErrorClass;
  /** How many items the writer may be given at once; undefined for all of a chunk. */
  readonly chunkSize?: Pick<ChunkSize, 'mostAtOnce'>;
}

/** Whether an item whose write failed so may be set aside, when retries are over. */
export function isSkippable(found: ErrorClass): boolean {
  return found.decision === 'skip' || (found.decision === 'retry' && found.exhausted === 'skip');
}

/** The skip of an item whose write failed. */
export function writeSkip(item: Item, error: unknown, found: ErrorClass, attempts: number): Skip {
  return {
    ...item,
    phase: 'write',
    code: found.code,
    message: safeMessage(error, { items: [item.item], key: item.key }),
    attempts,
  };
}

/**
 * Writes a chunk's outputs in its transaction.
 *
 * @returns the chunk with what the writer has counted.
 * @throws WriterFailed
 */
export async function writeOutputs(
  { work, chunkSize }: ChunkWriting,
  chunk: Chunk,
  transaction: Transaction,
): Promise<Chunk> {
  let unwritten = 0;
  for (const [from, to] of partsOf(chunk, chunkSize)) {
    let count: number | void;
    try {
      count = await write(work, chunk, from, to, transaction);
    } catch (error) {
      throw new WriterFailed(error, chunk.outputs.slice(from, to));
    }
    unwritten += unwrittenOf(to - from, count);
  }
  return withUnwritten(chunk, unwritten);
}

/** Each attempt has a list of its own: a writer may empty or sort it, and what it does to it is not met by the next. */
function write(
  { writer }: AnyChunkWork,
  { outputs }: Chunk,
  from: number,
  to: number,
  transaction: Transaction,
): Promise<number | void> {
  return awaited(transaction, 'the writer', () => writer.write(outputs.slice(from, to), transaction));
}

/** Tells the step what it has set aside, in a list of its own. */
export async function tellSkips(
  { onSkip }: Pick<AnyChunkWork, 'onSkip'>,
  skips: readonly Skip[],
  transaction: Transaction,
): Promise<void> {
  if (!onSkip || skips.length === 0) return;
  await awaited(transaction, '`onSkip`', () =>
    onSkip(
      skips.map((skip) => ({ ...skip })),
      transaction,
    ),
  );
}

/** What the writer is given one after another: usually all at once. */
function partsOf(
  { outputs }: Chunk,
  size: ChunkWriting['chunkSize'],
): (readonly [from: number, to: number])[] {
  const most = Math.min(size?.mostAtOnce ?? outputs.length, outputs.length);
  const count = most > 0 ? Math.ceil(outputs.length / most) : 0;
  return Array.from({ length: count }, (_, part) => [
    part * most,
    Math.min((part + 1) * most, outputs.length),
  ]);
}

/** How many outputs a writer has found to be there already. @throws BooksDoNotBalance */
function unwrittenOf(given: number, count: number | void): number {
  if (count === undefined) return 0;
  if (isCount(count) && count <= given) return given - count;
  throw failure(
    'BooksDoNotBalance',
    `the writer says that it has written ${kindOf(count)} of the ${given} items that it was given. Nothing of the chunk has committed. ` +
      'Let it return the number of items, not of rows, or nothing.',
  );
}

function withUnwritten(chunk: Chunk, unwritten: number): Chunk {
  return unwritten === 0 ? chunk : { ...chunk, unwritten };
}

/**
 * Writes a chunk of which some items cannot be written: halves it at savepoints until those are alone, so that k bad
 * items among n cost about 2·k·log2(n) statements, every other one is written once, and nothing is processed again.
 *
 * @returns the chunk with the bad items as skips.
 * @throws ItemFailed for an item that may not be skipped; WriterFailed for a transient error.
 */
export async function writeBisecting(
  writing: ChunkWriting,
  chunk: Chunk,
  transaction: Transaction,
  attempts: number,
  mostSkips: number,
): Promise<Chunk> {
  const skipped = new Map<number, Skip>();
  const sources = chunk.sources();
  let unwritten = 0;
  const writeRange = async (from: number, to: number): Promise<void> => {
    await transaction.query('SAVEPOINT keystride_half');
    let count: number | void;
    try {
      count = await write(writing.work, chunk, from, to, transaction);
      await transaction.query('RELEASE SAVEPOINT keystride_half');
    } catch (error) {
      const found = writing.classify(error);
      if (found.decision === 'retry' && found.exhausted !== 'skip')
        throw new WriterFailed(error, chunk.outputs.slice(from, to));
      await transaction.query('ROLLBACK TO SAVEPOINT keystride_half');
      const item = sources[from] as Item;
      if (!isSkippable(found))
        throw new ItemFailed(error, found, item.key, attempts, 'write', true, [item.item]);
      if (to - from === 1) skipped.set(from, writeSkip(item, error, found, attempts));
      // More than the step allows: the limit refuses the chunk, however many more there are.
      if (to - from === 1 || skipped.size > mostSkips) return;
      const middle = Math.floor((from + to) / 2);
      await writeRange(from, middle);
      return writeRange(middle, to);
    }
    unwritten += unwrittenOf(to - from, count);
  };
  for (const [from, to] of partsOf(chunk, writing.chunkSize)) await writeRange(from, to);
  return withSkips(withUnwritten(chunk, unwritten), skipped);
}

/**
 * Sets aside the items of which a writer says that they failed; the others it has written.
 *
 * @returns the skips by index, and the indexes that may be tried again.
 * @throws ItemFailed for an item that may be neither.
 */
export function settlePartialWrite(
  { classify }: ChunkWriting,
  chunk: Chunk,
  indexes: readonly number[],
  partial: PartialWrite,
  attempts: number,
  mayRetry: boolean,
): { readonly skipped: ReadonlyMap<number, Skip>; readonly again: number[] } {
  const skipped = new Map<number, Skip>();
  const again: number[] = [];
  const sources = chunk.sources();
  requirePlaces(partial, indexes.length);
  for (const [place, error] of partial.failed) {
    const index = indexes[place] as number;
    const item = sources[index] as Item;
    const found = classify(error);
    if (found.decision === 'retry' && mayRetry) again.push(index);
    else if (isSkippable(found)) skipped.set(index, writeSkip(item, error, found, attempts));
    else throw new ItemFailed(error, found, item.key, attempts, 'write', true, [item.item]);
  }
  return { skipped, again };
}

/** @throws UnusableAnswer for one that names no item that the writer was given: all would count as written. */
function requirePlaces({ failed }: PartialWrite, given: number): void {
  const places = failed instanceof Map ? [...(failed.keys() as Iterable<unknown>)] : [];
  if (places.length > 0 && places.every((place) => isCount(place) && place < given)) return;
  throw new UnusableAnswer(
    `the writer's PartialWrite does not say which of the ${given} items have failed: it takes a Map of errors by their index`,
  );
}
