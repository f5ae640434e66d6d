import type { Cursor } from '../../contract/cursor.ts';
import type { LogRow } from '../../stores/postgres/log-stream.ts';
import type { RowChange } from './changes.ts';
import type { FollowedTable } from './followed-table.ts';

/** What is to become of a row after all changes that were taken together. */
type Pending = PendingWrite | { readonly kind: 'remove'; readonly key: Cursor; readonly held?: true };

export interface PendingWrite {
  readonly kind: 'write';
  readonly key: Cursor;
  readonly row: LogRow;
}

type Named = Pick<FollowedTable, 'source'>;

/**
 * Changes of rows, taken together: of several of one row the last holds. Nobody sees those between, since all of them
 * commit at once.
 */
export class PendingChanges {
  readonly #tables = new Map<string, Map<string, Pending>>();

  /** The rows of a table that stay. */
  writes({ source }: Named): readonly PendingWrite[] {
    return [...(this.#tables.get(source)?.values() ?? [])].filter((one) => one.kind === 'write');
  }

  /** The keys of its rows that leave. */
  removed({ source }: Named): readonly Cursor[] {
    const rows = [...(this.#tables.get(source)?.values() ?? [])];
    return rows.flatMap(({ kind, key }) => (kind === 'remove' ? [key] : []));
  }

  /**
   * @returns false for a row that gets another key while what it has in some column is known to the sink alone: that has to
   * be done by itself, after what is pending.
   */
  add(change: RowChange): boolean {
    const { table, key } = change;
    const rows = this.#rowsOf(table);
    const name = nameOf(key);
    if (change.kind === 'remove') {
      rows.set(name, { kind: 'remove', key });
      return true;
    }
    const { before } = change;
    let { row } = change;
    if (before) {
      const was = rows.get(nameOf(before));
      if (was?.kind === 'write') row = merged(was.row, row);
      if (!isWhole(row)) return false;
      rows.set(nameOf(before), { kind: 'remove', key: before });
    }
    const was = rows.get(name);
    rows.set(name, { kind: 'write', key, row: was?.kind === 'write' ? merged(was.row, row) : row });
    return true;
  }

  /** Whether more than one row is written or removed. */
  get isSeveral(): boolean {
    let count = 0;
    for (const rows of this.#tables.values()) count += rows.size;
    return count > 1;
  }

  /** How many rows are to be removed. */
  get removals(): number {
    let count = 0;
    for (const rows of this.#tables.values())
      for (const { kind } of rows.values()) if (kind === 'remove') count += 1;
    return count;
  }

  /** All of it is applied. */
  clear(): void {
    this.#tables.clear();
  }

  /** A table has no rows any more. */
  forget({ source }: Named): void {
    this.#tables.delete(source);
  }

  /** What was to be written is; what is to be removed is held. */
  hold(): void {
    for (const rows of this.#tables.values())
      for (const [name, { kind, key }] of rows)
        if (kind === 'write') rows.delete(name);
        else rows.set(name, { kind, key, held: true });
  }

  /** Holds what is to be removed later. */
  holdRemoval(table: Named, key: Cursor): void {
    this.#rowsOf(table).set(nameOf(key), { kind: 'remove', key, held: true });
  }

  /** Rows with these keys are there, and are not to be removed. */
  keep({ source }: Named, keys: readonly Cursor[]): void {
    const rows = this.#tables.get(source);
    for (const key of rows ? keys : []) {
      const name = nameOf(key);
      if (rows?.get(name)?.kind === 'remove') rows.delete(name);
    }
  }

  /** Forgets all, and gives back what was held and has not been written or removed since: children first. */
  takeHeld(tables: readonly FollowedTable[]): readonly RowChange[] {
    const held = tables.toReversed().flatMap((table) =>
      Array.from(this.#tables.get(table.source)?.values() ?? []).flatMap((one): RowChange[] => {
        return one.kind === 'remove' && one.held ? [{ kind: 'remove', table, key: one.key }] : [];
      }),
    );
    this.clear();
    return held;
  }

  #rowsOf({ source }: Named): Map<string, Pending> {
    const found = this.#tables.get(source);
    if (found) return found;
    const rows = new Map<string, Pending>();
    this.#tables.set(source, rows);
    return rows;
  }
}

/** Whether the log has said what is in every column. */
export function isWhole(row: LogRow): boolean {
  for (const name in row) if (row[name] === undefined) return false;
  return true;
}

/** Rows by what the log has said of them: null for all columns. */
export function byKnownColumns<Row extends { readonly row: LogRow }>(
  pending: readonly Row[],
): ReadonlyMap<readonly string[] | null, readonly Row[]> {
  const found = new Map<string, { readonly names: readonly string[] | null; readonly rows: Row[] }>();
  for (const one of pending) {
    const whole = isWhole(one.row);
    const names = whole ? null : Object.keys(one.row).filter((name) => one.row[name] !== undefined);
    const group = names === null ? '' : JSON.stringify(names);
    const known = found.get(group);
    if (known) known.rows.push(one);
    else found.set(group, { names, rows: [one] });
  }
  return new Map(Array.from(found.values(), ({ names, rows }) => [names, rows]));
}

/** A row as it is after a change: what the log has left out is as it was. */
function merged(was: LogRow, row: LogRow): LogRow {
  return isWhole(row)
    ? row
    : Object.fromEntries(
        Object.entries(row).map(([name, value]) => [name, value === undefined ? was[name] : value]),
      );
}

function nameOf(key: Cursor): string {
  return key.length === 1 ? (key[0] ?? '') : JSON.stringify(key);
}
