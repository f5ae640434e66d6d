import type { Cursor } from '../contract/cursor.ts';
import type { Counters } from '../contract/progress.ts';
import { filteredOut, type Item, Skipped, type Slice } from './block.ts';
import type { Skip } from '../ledger/skips.ts';

/** What commits together. */
export interface Chunk {
  readonly outputs: readonly unknown[];
  /** The items that the outputs were made of, in the same order: collected when somebody asks for them, which is rare. */
  sources(): readonly Item[];
  readonly skips: readonly Skip[];
  readonly filtered: number;
  /** Outputs that the writer has found to be written already, and has counted. */
  readonly unwritten?: number;
  /** What is to be done in other stores once it has committed. */
  readonly afterCommit?: readonly (() => Promise<void>)[];
  /** The key of its first item; null for a chunk without items. */
  readonly first: Cursor | null;
  /** The key of its last item; null for a chunk without items, which only marks the end. */
  readonly cursor: Cursor | null;
  /** The range ends with it. */
  readonly last: boolean;
}

/** Forms a chunk of items that all have an outcome. */
export function chunkOf(slices: readonly Slice[], last: boolean): Chunk {
  const outputs: unknown[] = [];
  const skips: Skip[] = [];
  let left = 0;
  for (const { block, from, to } of slices) {
    for (let index = from; index < to; index++) {
      const outcome = block.outcomes[index];
      if (outcome === filteredOut) left++;
      else if (outcome instanceof Skipped) skips.push(skipOf(outcome, block.item(index)));
      else outputs.push(outcome);
    }
  }
  return { outputs, sources: () => sourcesOf(slices), skips, filtered: left, ...endsOf(slices), last };
}

function skipOf({ phase, code, message, attempts }: Skipped, item: Item): Skip {
  return { ...item, phase, code, message, attempts };
}

function sourcesOf(slices: readonly Slice[]): Item[] {
  const sources: Item[] = [];
  for (const { block, from, to } of slices) {
    for (let index = from; index < to; index++) {
      const outcome = block.outcomes[index];
      if (outcome !== filteredOut && !(outcome instanceof Skipped)) sources.push(block.item(index));
    }
  }
  return sources;
}

function endsOf(slices: readonly Slice[]): Pick<Chunk, 'first' | 'cursor'> {
  const [first] = slices;
  const end = slices.at(-1);
  return {
    first: first?.block.page.cursorAt(first.from) ?? null,
    cursor: end?.block.page.cursorAt(end.to - 1) ?? null,
  };
}

/** A chunk without the outputs at these indexes, which become skips instead. */
export function withSkips(chunk: Chunk, skipped: ReadonlyMap<number, Skip>): Chunk {
  if (skipped.size === 0) return chunk;
  const stays = (_: unknown, index: number) => !skipped.has(index);
  return {
    ...chunk,
    outputs: chunk.outputs.filter(stays),
    sources: () => chunk.sources().filter(stays),
    skips: [...chunk.skips, ...skipped.values()],
  };
}

/** What a chunk adds to its partition's counters. */
export function countersOfChunk({ outputs, skips, filtered, unwritten = 0 }: Chunk): Counters {
  const readSkipped = skips.filter(({ phase }) => phase === 'read').length;
  const read = outputs.length + filtered + skips.length - readSkipped;
  const written = outputs.length - unwritten;
  return { read, readSkipped, filtered: filtered + unwritten, written, skipped: skips.length };
}
