import type { RawBuilder, SqlBool } from 'kysely';
import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import { classifyPostgres, statementCancelled } from './errors.ts';
import { inRange, keyAlias, type KeyColumn, keyOf } from './key-columns.ts';
import type { KeyedRows } from './keyed-rows.ts';
import { inTransaction } from './transaction.ts';

/** Rows that follow one another in key order, of which some are looked for. */
export interface Window {
  /** The key before its first row; null at the beginning of the table. */
  readonly start: Cursor | null;
  /** The key of its last row, or the end of the range. */
  readonly end: Cursor;
  /** How many of its rows are those that are looked for. */
  readonly arrived: number;
  /** The range ends with it. */
  readonly last: boolean;
}

/** Rows of a window: at first, and at most. Beyond that a planner may prefer to sort the whole table for each. */
const rowsAtFirst = 1_000;
const mostRows = 100_000;

/** What a window should take, in milliseconds. */
const targetMs = 1_000;

/** What a window may take inside the database, in milliseconds; of one that is small already, at most. */
const timeoutMs = 10_000;
const longestTimeoutMs = 50_000;

/** With fewer rows than this a window is small: what makes it slow is not their number. */
const smallWindow = 100;

/**
 * Walks a table in windows of its key and counts what is looked for in each. Windows grow and shrink with what they
 * take; a query that takes too long is ended by the database itself, so that none is left behind there.
 */
export class KeyWindows<Database, Table extends keyof Database & string, Row> {
  readonly #rows: KeyedRows<Database, Table, Row>;
  readonly #columns: readonly KeyColumn[];
  readonly #arrived: RawBuilder<SqlBool>;
  #size = rowsAtFirst;
  #timeoutMs = timeoutMs;

  constructor(
    rows: KeyedRows<Database, Table, Row>,
    columns: readonly KeyColumn[],
    arrived: RawBuilder<SqlBool>,
  ) {
    this.#rows = rows;
    this.#columns = columns;
    this.#arrived = arrived;
  }

  /** The next window with something in it; after this many milliseconds the last one without. */
  async find(range: Range, withinMs: number, signal: AbortSignal): Promise<Window> {
    const until = performance.now() + withinMs;
    let from = range.lower;
    for (;;) {
      const window = await this.next({ lower: from, upper: range.upper }, signal);
      if (window.arrived > 0 || window.last || performance.now() > until) return window;
      from = window.end;
    }
  }

  /** @throws the signal's reason; the database's error where not even a small window comes through. */
  async next(range: Range, signal: AbortSignal): Promise<Window> {
    for (;;) {
      signal.throwIfAborted();
      const begun = performance.now();
      try {
        const window = await this.#look(range);
        const took = performance.now() - begun;
        if (took < targetMs / 2) this.#size = Math.min(mostRows, this.#size * 2);
        else if (took > targetMs * 2) this.#shrink(targetMs / took);
        return window;
      } catch (error) {
        if (classifyPostgres(error)?.code !== statementCancelled) throw error;
        if (this.#size > smallWindow) this.#shrink(1 / 8);
        else if (this.#timeoutMs < longestTimeoutMs) this.#timeoutMs = longestTimeoutMs;
        else throw error;
      }
    }
  }

  #shrink(share: number): void {
    this.#size = Math.max(smallWindow, Math.floor(this.#size * share));
  }

  async #look(range: Range): Promise<Window> {
    const names = this.#columns.map((_, index) => keyAlias(index));
    const rows = inRange(this.#rows.query, this.#columns, range)
      .clearSelect()
      .select(this.#columns.map(({ reference }, index) => reference.as(keyAlias(index))))
      .select(this.#arrived.as('keystride_arrived'))
      .orderBy(keyOf(this.#columns))
      .limit(this.#size)
      .compile();
    const look = `
      WITH looked AS MATERIALIZED (${rows.sql})
      SELECT (SELECT count(*)::int FROM looked) AS rows,
             (SELECT count(*)::int FROM looked WHERE keystride_arrived) AS arrived,
             (SELECT array[${names.map((name) => `${name}::text`).join(', ')}] FROM looked
               ORDER BY ${names.map((name) => `${name} DESC`).join(', ')} LIMIT 1) AS end`;
    const bounds = { statementTimeoutMs: this.#timeoutMs, idleTimeoutMs: timeoutMs };
    const [found] = await inTransaction(
      this.#rows.pool,
      async (transaction) => {
        // In the order of the key's index: sorting what is left of the table for each window would read it every time.
        await transaction.query('SET LOCAL enable_sort = off');
        return (await transaction.query<Looked>(look, [...rows.parameters])).rows;
      },
      bounds,
    );
    const last = !found?.end || found.rows < this.#size;
    const start = range.lower;
    return { start, end: last ? range.upper : cursorOf(found.end), arrived: found?.arrived ?? 0, last };
  }
}

interface Range {
  readonly lower: Cursor | null;
  readonly upper: Cursor;
}

interface Looked extends Record<string, unknown> {
  readonly rows: number;
  readonly arrived: number;
  readonly end: string[] | null;
}
