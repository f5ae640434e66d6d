import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import type { RowRange } from '../../contract/reader.ts';
import { type LogPosition, positionText } from '../../stores/postgres/log-position.ts';
import type { Change } from './changes.ts';

/** A position as a cursor. */
export function cursorAt(position: LogPosition): Cursor {
  return cursorOf([positionText(position)]);
}

/** What lies between two positions of a log: whole transactions of the source, or nothing that is followed. */
export class LogBatch implements RowRange {
  readonly open = true;
  readonly after: Cursor;
  readonly upper: Cursor;
  /** So many rows of the source are read again, at the position where the stream stands. */
  readonly settles: number;
  #known: readonly Change[];
  readonly #rest: AsyncIterable<readonly Change[]> | undefined;
  #rows: number;
  #begun = false;

  constructor(
    between: { readonly after: LogPosition; readonly upper: LogPosition },
    changes: readonly Change[] = [],
    {
      rest,
      settles = 0,
    }: { readonly rest?: AsyncIterable<readonly Change[]>; readonly settles?: number } = {},
  ) {
    this.after = cursorAt(between.after);
    this.upper = cursorAt(between.upper);
    this.#known = changes;
    this.#rest = rest;
    this.settles = settles;
    this.#rows = changes.length + settles;
  }

  /** Changes that are known; of a transaction that is too large to be held they become more while it is applied. */
  get rows(): number {
    return this.#rows;
  }

  /** Says how many rows there were to be settled. */
  settled(rows: number): void {
    this.#rows = rows;
  }

  /** Whether it is told while it is applied, and cannot be told again. */
  get isUsed(): boolean {
    return this.#rest !== undefined && this.#begun;
  }

  /** Its changes, in the order of the log, some at a time. */
  async *changes(): AsyncGenerator<readonly Change[]> {
    this.#begun = true;
    yield this.#takeKnown();
    if (!this.#rest) return;
    for await (const changes of this.#rest) {
      this.#rows += changes.length;
      yield changes;
    }
  }

  /** Those of a large transaction are not told again, and would be held until it ends. */
  #takeKnown(): readonly Change[] {
    const known = this.#known;
    if (this.#rest) this.#known = [];
    return known;
  }
}
