import type pg from 'pg';
import { small } from '../../contract/bytes.ts';
import { keepsWhatItDoes } from './bounded-query.ts';

/** Rows that are asked for where an answer cannot be ended and nothing is known of their size. */
const probed = 16;

/** Whether rows are so large that whoever holds them should know. */
export function areLarge(sizes: readonly number[]): boolean {
  let bytes = 0;
  for (const size of sizes) bytes += size;
  return bytes > small;
}

/** How large the rows of a query were when they were last read, so that no more are asked for than will be taken. */
export class RowSize {
  readonly #endable: boolean;
  #bytesPerRow: number | undefined;

  constructor(pool: pg.Pool) {
    this.#endable = keepsWhatItDoes(pool);
  }

  /** Rows that are likely to take so many bytes, at most `limit`. Where they turn out to be larger their answer is ended. */
  rowsIn(bytes: number | undefined, limit: number): number {
    if (bytes === undefined) return limit;
    const perRow = this.#bytesPerRow ?? (this.#endable ? 0 : bytes / probed);
    return Math.max(1, Math.min(limit, Math.ceil(bytes / Math.max(1, perRow))));
  }

  /** Whether so many rows are likely to be small together, as those are that were read last. */
  areSmall(rows: number): boolean {
    return this.#bytesPerRow !== undefined && this.#bytesPerRow * rows <= small;
  }

  /** @param sizes what they take, each or some of them together. */
  measured(rows: number, sizes: readonly number[]): void {
    if (rows > 0) this.#bytesPerRow = sizes.reduce((sum, size) => sum + size, 0) / rows;
  }
}
