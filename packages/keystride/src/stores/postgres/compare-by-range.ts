import { type Cursor, type KeyRange, nameOfKey } from '../../contract/cursor.ts';
import { failure } from '../../contract/errors.ts';
import type { ComparedPage, Difference } from '../../contract/verification.ts';
import { incomparable } from './compare-by-halves.ts';
import { type ComparedSide, type HashedRow, nothing } from './compared-side.ts';

/** Two sides whose keys sort alike. */
interface Sides {
  readonly source: ComparedSide;
  readonly target: ComparedSide;
  readonly extra: 'told' | 'ignored';
  /** Ranges of a page that are compared at once. */
  readonly atOnce: number;
}

/** What was found in a range. */
interface Found {
  readonly compared: number;
  readonly differences: readonly Difference[];
  /** Rows of the target that are extra, and not told. */
  readonly ignored: number;
}

/** A range that differs is cut into so many parts, until it is small. */
const partsOfRange = 16;

/** A range of so many rows or fewer is compared row by row: no more than their keys and hashes leave the databases. */
const comparedByRow = 100;

/** Each cut leaves a sixteenth of the larger side: more than 2^60 rows there cannot be, on both sides. */
const deepest = 32;

/** How often a range is looked at whose hashes differ, and whose rows do not. */
const looks = 3;

/**
 * Compares the next rows of the source with what the target has in the same range of the key: in several ranges, of which
 * the next is looked for while both databases hash those before.
 */
export async function compareByRange(
  sides: Sides,
  lower: Cursor | null,
  limit: number,
  signal: AbortSignal,
): Promise<ComparedPage> {
  const rows = Math.max(1, Math.floor(limit / sides.atOnce));
  const ranges: Promise<Found>[] = [];
  let position = lower;
  try {
    do {
      const upper = await sides.source.cut({ lower: position, upper: null }, rows, signal);
      const range = compareRange(sides, { lower: position, upper }, 0, signal);
      // It may fail while the next one is looked for; it is asked below.
      range.catch(() => undefined);
      ranges.push(range);
      position = upper;
    } while (position !== null && ranges.length < Math.min(sides.atOnce, limit));
  } finally {
    // Nothing of a page that has failed is left in the databases.
    await Promise.allSettled(ranges);
  }
  const found = await Promise.all(ranges);
  return {
    position,
    compared: found.reduce((sum, { compared }) => sum + compared, 0),
    differences: found.flatMap(({ differences }) => differences),
  };
}

/** What is said of the next row of the source, which cannot be compared, and what the target has before it. */
export async function rowAloneInRange(
  { source, ...sides }: Sides,
  lower: Cursor | null,
  why: string,
  signal: AbortSignal,
): Promise<ComparedPage | undefined> {
  const upper = await source.cut({ lower, upper: null }, 1, signal);
  if (upper === null) return undefined;
  const none = { ...source, digest: () => Promise.resolve(nothing), hashes: () => Promise.resolve([]) };
  const { differences } = await compareRange({ ...sides, source: none }, { lower, upper }, 0, signal);
  const others = differences.filter(({ remove }) => remove && nameOfKey(remove) !== nameOfKey(upper));
  return { position: upper, compared: 1, differences: [...others, incomparable(upper, why)] };
}

async function compareRange(
  sides: Sides,
  range: KeyRange,
  depth: number,
  signal: AbortSignal,
): Promise<Found> {
  const { source, target } = sides;
  for (let look = 1; ; look += 1) {
    signal.throwIfAborted();
    const [from, to] = await Promise.all([source.digest(range, signal), target.digest(range, signal)]);
    const compared = from.rows;
    if (from.rows === to.rows && from.hash === to.hash) return { compared, differences: [], ignored: 0 };
    const rows = Math.max(from.rows, to.rows);
    const larger = from.rows > to.rows ? source : target;
    const found =
      rows <= comparedByRow
        ? await compareRows(sides, range, signal)
        : await compareParts(sides, { range, depth, larger, rows }, signal);
    // What changed in between is equal when it is looked at again.
    if (found.differences.length > 0 || found.ignored > 0) return { ...found, compared };
    if (look === looks) throw unsettled(source.table, target.table);
  }
}

interface Cutting {
  readonly range: KeyRange;
  readonly depth: number;
  /** The side that has more is cut, so that each round makes it smaller. */
  readonly larger: ComparedSide;
  readonly rows: number;
}

async function compareParts(
  sides: Sides,
  { range, depth, larger, rows }: Cutting,
  signal: AbortSignal,
): Promise<Omit<Found, 'compared'>> {
  if (depth === deepest) throw unsettled(sides.source.table, sides.target.table);
  const differences: Difference[] = [];
  let ignored = 0;
  for (const part of await partsOf(larger, range, Math.ceil(rows / partsOfRange), signal)) {
    const found = await compareRange(sides, part, depth + 1, signal);
    differences.push(...found.differences);
    ignored += found.ignored;
  }
  return { differences, ignored };
}

function unsettled(source: string, target: string) {
  return failure(
    'Incomparable',
    `${source} and ${target}: their hashes differ, and no row of them does, ${looks} times in a row. Either they change while they are compared, or one of the databases writes or orders values otherwise each time. Compare them again when nothing writes to them; REINDEX the key's index of each if it stays so.`,
  );
}

/** Cuts a range into parts of so many rows of a side. */
async function partsOf(
  side: ComparedSide,
  { lower, upper }: KeyRange,
  rows: number,
  signal: AbortSignal,
): Promise<KeyRange[]> {
  const parts: KeyRange[] = [];
  for (let from = lower; ;) {
    const end = await side.cut({ lower: from, upper }, rows, signal);
    parts.push({ lower: from, upper: end ?? upper });
    if (end === null) return parts;
    from = end;
  }
}

async function compareRows(
  { source, target, extra }: Sides,
  range: KeyRange,
  signal: AbortSignal,
): Promise<Omit<Found, 'compared'>> {
  const [from, to] = (await Promise.all([source.hashes(range, signal), target.hashes(range, signal)])).map(
    byName,
  );
  const differences: Difference[] = [];
  for (const [name, rows] of from ?? []) {
    const found = to?.get(name);
    const rerun = rows[0]?.key;
    if (!found) differences.push({ told: `key ${name}: missing`, ...(rerun && { rerun }) });
    else if (!sameHashes(rows, found))
      differences.push({ told: `key ${name}: different`, ...(rerun && { rerun }) });
  }
  const extras = [...(to ?? [])].filter(([name]) => !from?.has(name));
  if (extra === 'ignored') return { differences, ignored: extras.length };
  for (const [name, [row]] of extras)
    differences.push({ told: `key ${name}: extra`, ...(row && { remove: row.key }) });
  return { differences, ignored: 0 };
}

/** A table without a unique key may have several rows of one. */
function byName(rows: readonly HashedRow[]): Map<string, HashedRow[]> {
  return Map.groupBy(rows, ({ key }) => nameOfKey(key));
}

/** Whether both have the same rows, as often. */
function sameHashes(some: readonly HashedRow[], others: readonly HashedRow[]): boolean {
  const sorted = (rows: readonly HashedRow[]) => rows.map(({ hash }) => hash).toSorted();
  const there = sorted(others);
  return some.length === others.length && sorted(some).every((hash, index) => hash === there[index]);
}
