import { cursorOf, nameOfKey } from '../../contract/cursor.ts';
import type { Difference } from '../../contract/verification.ts';
import { stateOfValue } from './compare-by-halves.ts';
import type { ComparedSide, FoundRow } from './compared-side.ts';

/** A difference that was looked at. */
export interface SeenDifference extends Difference {
  /** The key, and what both sides have under it: the same text as long as nobody writes to either. */
  readonly state: string;
}

/** Looks at the rows of differences once more, by their keys. @returns those that still differ */
export async function lookAgain(
  sides: { readonly source: ComparedSide; readonly target: ComparedSide },
  differences: readonly Difference[],
  signal: AbortSignal,
): Promise<readonly SeenDifference[]> {
  if (differences.length === 0) return [];
  try {
    return await lookAtOnce(sides, differences, signal);
  } catch (error) {
    if (stateOfValue(error) === undefined) throw error;
    // A row that makes a database fail cannot be compared, the others can.
    if (differences.length === 1) return differences.map((one) => ({ ...one, state: one.told }));
    const middle = Math.ceil(differences.length / 2);
    return [
      ...(await lookAgain(sides, differences.slice(0, middle), signal)),
      ...(await lookAgain(sides, differences.slice(middle), signal)),
    ];
  }
}

async function lookAtOnce(
  { source, target }: Parameters<typeof lookAgain>[0],
  differences: readonly Difference[],
  signal: AbortSignal,
): Promise<SeenDifference[]> {
  const keys = differences.map(({ rerun, remove }) => rerun ?? remove ?? cursorOf([]));
  const asked = { versions: true };
  const [from, to] = await Promise.all([source.find(keys, signal, asked), target.find(keys, signal, asked)]);
  const hashAt = (rows: readonly FoundRow[]) => Map.groupBy(rows, ({ place }) => place);
  const [here, there] = [hashAt(from), hashAt(to)];
  return keys.flatMap((key, index) => {
    const [row, copy] = [here.get(index + 1)?.[0], there.get(index + 1)?.[0]];
    if (row?.hash === copy?.hash) return [];
    const what = copy === undefined ? 'missing' : row === undefined ? 'extra' : 'different';
    const state = [nameOfKey(key), row?.hash, row?.version, copy?.hash, copy?.version].join(' ');
    return [{ told: `key ${nameOfKey(key)}: ${what}`, ...(row ? { rerun: key } : { remove: key }), state }];
  });
}
