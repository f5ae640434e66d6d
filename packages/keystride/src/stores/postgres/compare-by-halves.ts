import { type Cursor, nameOfKey } from '../../contract/cursor.ts';
import type { ComparedPage, Comparison, Difference } from '../../contract/verification.ts';
import { causesOf, codeOf } from '../causes.ts';

type ComparePage<Position> = (
  position: Position,
  limit: number,
  signal: AbortSignal,
) => Promise<ComparedPage>;

/** A comparison of which single pages may fail. */
interface Failing<Position> {
  readonly compare: ComparePage<Position>;
  /** Whether a page that ended there was full, and more of the same follows. */
  mayFollow(from: Position, to: Position): boolean;
  /** What is to be said where the next row alone makes it fail; undefined where there is no such row. */
  alone(position: Position, why: string, signal: AbortSignal): Promise<ComparedPage | undefined>;
}

/**
 * A comparison that a value cannot end: JSON nested deeper than a server's stack, a row larger than a text. Where a page
 * fails its halves are compared, until the row at fault is alone: that one differs, and is named.
 */
export function byHalves<Position>({
  compare,
  mayFollow,
  alone,
}: Failing<Position>): Comparison['comparePage'] {
  const comparePage: ComparePage<Position> = async (position, limit, signal) => {
    try {
      return await compare(position, limit, signal);
    } catch (error) {
      const state = stateOfValue(error);
      if (state === undefined) throw error;
      if (limit > 1) return together(position, limit, signal);
      const found = await alone(position, `cannot be compared (SQLSTATE ${state})`, signal);
      if (!found) throw error;
      return found;
    }
  };
  const together = async (position: Position, limit: number, signal: AbortSignal): Promise<ComparedPage> => {
    const first = await comparePage(position, Math.ceil(limit / 2), signal);
    if (!mayFollow(position, first.position as Position)) return first;
    const second = await comparePage(first.position as Position, Math.floor(limit / 2), signal);
    return {
      position: second.position,
      compared: first.compared + second.compared,
      differences: [...first.differences, ...second.differences],
    };
  };
  return (position, limit, signal) => comparePage(position as Position, limit, signal);
}

/** A row of the source that makes a comparison fail, as a difference. */
export function incomparable(key: Cursor, why: string): Difference {
  return { told: `key ${nameOfKey(key)}: ${why}`, rerun: key };
}

/** The SQLSTATE of what a value has raised: it is none of its type, or more than the server can take. */
export function stateOfValue(error: unknown): string | undefined {
  return causesOf(error)
    .map(codeOf)
    .find((state) => /^(22|54)[0-9A-Z]{3}$/u.test(state));
}
