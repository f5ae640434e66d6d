import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import type { ComparedPage, Comparison } from '../../contract/verification.ts';

/** What a page may take at most, and the time in which one is to be done, in milliseconds: what asks for a rest waits so long. */
const bounds = { times: 8, least: 500, most: 2_000 };

/**
 * Pages of a comparison that become larger while they are quick and nothing differs: the databases are asked less often. Where
 * something differs the next page has the usual size, since what differs is hashed once more, and told at once.
 *
 * How many times the usual rows a page takes stands in its position, behind the key: compared again from there, it has the
 * same end. A worker of an earlier build reads the key alone, and compares a page of the usual size.
 *
 * @param keyLength columns of the key.
 */
export function growing(
  comparePage: (after: Cursor | null, limit: number, signal: AbortSignal) => Promise<ComparedPage>,
  keyLength: () => Promise<number>,
): Comparison['comparePage'] {
  return async (position, limit, signal) => {
    const place = position as Cursor | null;
    const length = await keyLength();
    const after = place && cursorOf(place.slice(0, length));
    const times = Number(place?.[length] ?? 1);
    const begun = performance.now();
    const page = await comparePage(after, limit * times, signal);
    if (page.position === null) return page;
    const next = page.differences.length > 0 ? 1 : grown(times, performance.now() - begun);
    return { ...page, position: cursorOf([...(page.position as Cursor), String(next)]) };
  };
}

function grown(times: number, milliseconds: number): number {
  if (milliseconds > bounds.most) return Math.max(1, times / 2);
  return milliseconds < bounds.least ? Math.min(bounds.times, times * 2) : times;
}
