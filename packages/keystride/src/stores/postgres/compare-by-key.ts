import { type Cursor, nameOfKey } from '../../contract/cursor.ts';
import type { ComparedPage, Difference } from '../../contract/verification.ts';
import { incomparable } from './compare-by-halves.ts';
import type { ComparedSide, FoundRow, HashedRow } from './compared-side.ts';

/** Two sides of which each is read in its own order. */
interface Sides {
  readonly source: ComparedSide;
  readonly target: ComparedSide;
  readonly extra: 'told' | 'ignored';
}

/** Which side is being read, and how far; null at the beginning. A list is a key of the source. */
export type PlaceByKey =
  { readonly side: 'source' | 'target'; readonly after: Cursor | null } | Cursor | null;

/** Compares the next rows of one side with what the other has under their keys. */
export async function compareByKey(
  sides: Sides,
  position: PlaceByKey,
  limit: number,
  signal: AbortSignal,
): Promise<ComparedPage> {
  const { side, after } = placeOf(position, sides.extra);
  const rows = await sides[side].page(after, limit, signal);
  const differences =
    side === 'target' ? await extraRows(sides, rows, signal) : await changedRows(sides, rows, signal);
  const last = rows.length < limit ? undefined : rows.at(-1)?.key;
  const next = side === 'target' ? { side: 'source' as const, after: null } : null;
  return {
    position: last ? { side, after: last } : next,
    compared: side === 'source' ? rows.length : 0,
    differences,
  };
}

/** Whether both places are of one side, and the later one is not its end. */
export function isOneSide(from: PlaceByKey, to: PlaceByKey, extra: Sides['extra']): boolean {
  return to !== null && placeOf(from, extra).side === placeOf(to, extra).side;
}

/** What is said of the next row of a side, which cannot be compared. */
export async function rowAloneByKey(
  sides: Sides,
  position: PlaceByKey,
  why: string,
  signal: AbortSignal,
): Promise<ComparedPage | undefined> {
  const { side, after } = placeOf(position, sides.extra);
  const key = await sides[side].cut({ lower: after, upper: null }, 1, signal);
  if (key === null) return undefined;
  const found = incomparable(key, why);
  // A row of the target is put right by its source, which is read later.
  return {
    position: { side, after: key },
    compared: side === 'source' ? 1 : 0,
    differences: [side === 'source' ? found : { told: found.told }],
  };
}

function placeOf(position: PlaceByKey, extra: Sides['extra']) {
  if (position === null) return { side: extra === 'told' ? 'target' : 'source', after: null } as const;
  // A build before this one knew keys of the source alone.
  return 'side' in position ? position : ({ side: 'source', after: position } as const);
}

async function changedRows(
  { target }: Sides,
  rows: readonly HashedRow[],
  signal: AbortSignal,
): Promise<Difference[]> {
  const found = await foundFor(target, rows, signal);
  return rows.flatMap(({ key, sought, hash }, index) => {
    const there = found.get(index + 1);
    const what = there === undefined ? 'missing' : 'different';
    const isSame = there?.length === 1 && there[0]?.hash === hash;
    return isSame ? [] : [{ told: `key ${nameOfKey(sought)}: ${what}`, rerun: key }];
  });
}

/** A row of the source is that of the target if it is to both: where the source takes `A` for `a`, the target may not. */
async function extraRows(
  { source, target }: Sides,
  rows: readonly HashedRow[],
  signal: AbortSignal,
): Promise<Difference[]> {
  const found = await foundFor(source, rows, signal);
  const pairs = rows.flatMap(({ sought }, index) => {
    const there = found.get(index + 1) ?? [];
    const isWritten = there.some(({ key }) => nameOfKey(key) === nameOfKey(sought));
    return isWritten ? [] : there.map(({ key }) => ({ index, pair: [sought, key] as const }));
  });
  const same = await target.same(
    pairs.map(({ pair }) => pair),
    signal,
  );
  const others = new Set(pairs.map(({ index }) => index));
  pairs.forEach(({ index }, place) => same[place] && others.delete(index));
  return rows.flatMap(({ key, sought }, index) =>
    found.has(index + 1) && !others.has(index)
      ? []
      : [{ told: `key ${nameOfKey(sought)}: extra`, remove: key }],
  );
}

async function foundFor(
  side: ComparedSide,
  rows: readonly HashedRow[],
  signal: AbortSignal,
): Promise<Map<number, FoundRow[]>> {
  if (rows.length === 0) return new Map();
  const found = await side.find(
    rows.map(({ sought }) => sought),
    signal,
  );
  return Map.groupBy(found, ({ place }) => place);
}
