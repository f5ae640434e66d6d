import { ToldError } from '../../contract/errors.ts';
import type { LogRelation } from '../../stores/postgres/log-stream.ts';
import type { FollowedTable } from './followed-table.ts';
import type { SeenTable } from '../../ledger/seen-table.ts';

/** The log has a table as nobody has seen it. */
export class UnknownLayout extends ToldError {
  override readonly name = 'UnknownLayout';
}

/** How rows of a followed table stand in the log, from one of its descriptions there to the next. */
export interface Layout {
  readonly table: FollowedTable;
  /** The columns of the sink: by what name the log has each, or the value of those that the rows did not have yet. */
  readonly columns: readonly {
    readonly to: string;
    readonly name: string | undefined;
    readonly missing: string | null;
  }[];
  /** A row of the sink without values. */
  readonly empty: Record<string, string | null | undefined>;
  /** What the log calls the columns of the key. */
  readonly key: readonly string[];
  /** Whether it says which row an update or a delete is of. */
  readonly isIdentified: boolean;
}

/**
 * Reads a description of a table in the log: of any moment since the table was first seen.
 *
 * @throws UnknownLayout for a column that nobody has seen under that name, with that type.
 */
export function layoutOf(table: FollowedTable, seen: SeenTable, relation: LogRelation): Layout {
  const names = new Map<number, string>();
  for (const { name, typeOid, typeMod } of relation.columns) {
    const type = `${typeOid >>> 0}:${typeMod}`;
    const known = seen.columns.find(({ forms }) =>
      forms.some((form) => form[0] === name && form[1] === type),
    );
    if (!known)
      throw new UnknownLayout(`column ${name} of ${table.source} was added, renamed or given another type`);
    names.set(known.number, name);
  }
  const key = seen.key.map((number) => names.get(number) ?? '');
  const columns = seen.columns.flatMap(({ number, missing, to }) =>
    to ? [{ to: to.name, name: names.get(number), missing }] : [],
  );
  return {
    ...{ table, columns, key },
    empty: Object.fromEntries(columns.map(({ to }) => [to, null])),
    isIdentified: key.every((name) => relation.keyColumns.includes(name)),
  };
}
