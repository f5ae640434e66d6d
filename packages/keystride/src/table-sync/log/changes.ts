import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import { ToldError } from '../../contract/errors.ts';
import type { LogEvent, LogRelation, LogRow } from '../../stores/postgres/log-stream.ts';
import { type FollowedTable, relationName } from './followed-table.ts';

/** What is to become of one row, or of a table. */
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
    }
  | { readonly kind: 'remove'; readonly table: FollowedTable; readonly key: Cursor }
  | { readonly kind: 'empty'; readonly tables: readonly FollowedTable[] };

/** A table was altered, and nobody knows what becomes of its rows in the sink. */
export class TableAltered extends ToldError {
  override readonly name = 'TableAltered';
}

/** Makes changes of the sink of what the log says. */
export class ChangeReader {
  readonly #tables: ReadonlyMap<string, FollowedTable>;
  readonly #stream: string;

  constructor(stream: string, tables: readonly FollowedTable[]) {
    this.#stream = stream;
    this.#tables = new Map(tables.map((table) => [relationName(...table.relation), table]));
  }

  /** @throws TableAltered when the columns of a table, or those that identify a row, are others than before. */
  check({ schema, name, columns, keyColumns }: LogRelation): void {
    const table = this.#tables.get(relationName(schema, name));
    // A publication names tables by their ids, and the log by the names that they have just then.
    if (!table)
      throw new TableAltered(`${schema}.${name} is not followed: a table was renamed. ${this.#again}`);
    if (!table.key.every((column) => keyColumns.includes(column))) throw unidentified(table);
    const present = columns.map((column) => column.name);
    const added = present.filter((column) => !table.sourceColumns.includes(column));
    const lacking = table.columns.filter(({ from }) => !present.includes(from)).map(({ from }) => from);
    if (added.length === 0 && lacking.length === 0) return;
    const what = [
      ...(added.length > 0 ? [`column ${added.join(', ')} was added`] : []),
      ...(lacking.length > 0 ? [`column ${lacking.join(', ')} was dropped or renamed`] : []),
    ].join(', and ');
    throw new TableAltered(
      `${table.source} was altered while it was followed: ${what}. Alter ${table.sink.table} likewise. ${this.#again}`,
    );
  }

  get #again(): string {
    return `Then copy again: keystride sync rewind '${this.#stream}' --to-start, and start the next run`;
  }

  /** @returns undefined for what is of no table that is followed. */
  changeOf(event: Extract<LogEvent, { kind: 'row' | 'truncate' }>): Change | undefined {
    if (event.kind === 'truncate') {
      const tables = event.relations.flatMap((relation) => this.#find(relation) ?? []);
      return tables.length > 0 ? { kind: 'empty', tables } : undefined;
    }
    const table = this.#find(event.relation);
    if (!table) return undefined;
    const { old, row } = event;
    if (!row) return { kind: 'remove', table, key: keyIn(table, old ?? {}) };
    // A large key that did not change stands among what the row was known by.
    const key = keyIn(table, row, old);
    const before = old && keyIn(table, old, row);
    return {
      kind: 'write',
      table,
      key,
      row: Object.fromEntries(table.columns.map(({ from, to }) => [to, row[from]])),
      ...(before && before.join('\0') !== key.join('\0') ? { before } : {}),
    };
  }

  #find({ schema, name }: LogRelation): FollowedTable | undefined {
    return this.#tables.get(relationName(schema, name));
  }
}

function keyIn(table: FollowedTable, row: LogRow, other: LogRow = {}): Cursor {
  return cursorOf(
    table.key.map((name) => {
      const text = row[name] ?? other[name];
      if (typeof text === 'string') return text;
      throw unidentified(table);
    }),
  );
}

function unidentified({ source }: FollowedTable): TableAltered {
  return new TableAltered(
    `the log does not say which row of ${source} was changed: its replica identity is another than before`,
  );
}
