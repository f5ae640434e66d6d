import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import type { SeenTable } from '../../ledger/seen-table.ts';
import type { LogEvent, LogRelation, LogRow } from '../../stores/postgres/log-stream.ts';
import type { FollowedTable } from './followed-table.ts';
import { type Layout, layoutOf, UnknownLayout } from './layout.ts';

/** What is to become of one row, or of tables. */
export type Change =
  | {
      readonly kind: 'write';
      readonly table: FollowedTable;
      /** In the source. */
      readonly key: Cursor;
      /** By the sink's columns; undefined where the log left a large value out because it did not change. */
      readonly row: LogRow;
      /** The key that the row had before, where that was another one. */
      readonly before?: Cursor;
      /** It was inserted. */
      readonly isNew?: true;
    }
  | { readonly kind: 'remove'; readonly table: FollowedTable; readonly key: Cursor }
  | { readonly kind: 'empty'; readonly tables: readonly FollowedTable[] };

/** What is to become of one row. */
export type RowChange = Exclude<Change, { kind: 'empty' }>;

/** Makes changes of the sink of what the log says. */
export class ChangeReader {
  readonly #tables: ReadonlyMap<number, FollowedTable>;
  readonly #seen: Readonly<Record<string, SeenTable>>;
  readonly #layouts = new WeakMap<LogRelation, Layout>();

  /** @param seen each of the tables, by its source. */
  constructor(tables: readonly FollowedTable[], seen: Readonly<Record<string, SeenTable>>) {
    this.#tables = new Map(tables.map((table) => [Number(table.oid), table]));
    this.#seen = seen;
  }

  /**
   * @returns undefined for what is of no table that is followed.
   * @throws UnknownLayout
   */
  changeOf(event: Extract<LogEvent, { kind: 'row' | 'truncate' }>): Change | undefined {
    if (event.kind === 'truncate') {
      const tables = event.relations.flatMap((relation) => this.#find(relation) ?? []);
      return tables.length > 0 ? { kind: 'empty', tables } : undefined;
    }
    const layout = this.#layout(event.relation);
    if (!layout) return undefined;
    const { table } = layout;
    const { old, row, isNew } = event;
    if (!isNew && !layout.isIdentified) throw unidentified(table);
    if (!row) return { kind: 'remove', table, key: keyIn(layout, old ?? {}) };
    // A large key that did not change stands among what the row was known by.
    const key = keyIn(layout, row, old);
    const before = old && keyIn(layout, old);
    return {
      kind: 'write',
      table,
      key,
      row: rowOf(layout, row),
      ...(before && before.join('\0') !== key.join('\0') ? { before } : {}),
      ...(isNew && { isNew }),
    };
  }

  #find({ relationOid }: LogRelation): FollowedTable | undefined {
    return this.#tables.get(relationOid >>> 0);
  }

  #layout(relation: LogRelation): Layout | undefined {
    const known = this.#layouts.get(relation);
    if (known) return known;
    const table = this.#find(relation);
    const seen = table && this.#seen[table.source];
    if (!seen) return undefined;
    const layout = layoutOf(table, seen, relation);
    this.#layouts.set(relation, layout);
    return layout;
  }
}

function rowOf({ columns, empty }: Layout, row: LogRow): LogRow {
  // Once for every row: a copy of a row that has all columns is cheaper than one that gets them one by one.
  const found = { ...empty };
  for (const { to, name, missing } of columns) found[to] = name === undefined ? missing : row[name];
  return found;
}

function keyIn({ table, key }: Layout, row: LogRow, other: LogRow = {}): Cursor {
  return cursorOf(
    key.map((name) => {
      const text = row[name] ?? other[name];
      if (typeof text === 'string') return text;
      throw unidentified(table);
    }),
  );
}

function unidentified({ source }: FollowedTable): UnknownLayout {
  return new UnknownLayout(
    `the log does not say which row of ${source} was changed: its replica identity was another one`,
  );
}
