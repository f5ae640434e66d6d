import type { Cursor } from '../../contract/cursor.ts';
import type { Counters } from '../../contract/progress.ts';
import type { Skip } from './ledger/skips.ts';
import type { Slot } from './slot.ts';

/** What commits together. */
export interface Chunk {
  readonly outputs: readonly unknown[];
  /** The items that the outputs were made of, in the same order. */
  readonly sources: readonly Slot[];
  readonly skips: readonly Skip[];
  readonly filtered: number;
  /** Outputs that the writer has found to be written already, and has counted. */
  readonly unwritten?: number;
  /** The key of its first item; null for a chunk without items. */
  readonly first: Cursor | null;
  /** The key of its last item; null for a chunk without items, which only marks the end. */
  readonly cursor: Cursor | null;
  /** The range ends with it. */
  readonly last: boolean;
}

/** Forms a chunk of items that all have an outcome. */
export function chunkOf(slots: readonly Slot[], last: boolean): Chunk {
  const outputs: unknown[] = [];
  const sources: Slot[] = [];
  const skips: Skip[] = [];
  let filtered = 0;
  for (const slot of slots) {
    const outcome = slot.outcome;
    if (outcome?.kind === 'write') {
      outputs.push(outcome.output);
      sources.push(slot);
    } else if (outcome?.kind === 'skip') {
      const { phase, code, message, attempts } = outcome;
      skips.push({ item: slot.item, key: slot.key, cursor: slot.cursor, phase, code, message, attempts });
    } else filtered++;
  }
  const first = slots[0]?.cursor ?? null;
  return { outputs, sources, skips, filtered, first, cursor: slots.at(-1)?.cursor ?? null, last };
}

/** A chunk without the outputs at these indexes, which become skips instead. */
export function withSkips(chunk: Chunk, skipped: ReadonlyMap<number, Skip>): Chunk {
  if (skipped.size === 0) return chunk;
  const stays = (_: unknown, index: number) => !skipped.has(index);
  return {
    ...chunk,
    outputs: chunk.outputs.filter(stays),
    sources: chunk.sources.filter(stays),
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
