import pg from 'pg';
import { quotedTable } from '../../stores/postgres/key-columns.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import type { SyncRow } from './steps.ts';

/** A column of the sink. */
export interface SinkColumn {
  readonly name: string;
  /** Its type as PostgreSQL writes it, without a length: a cast would cut what is too long, an insert refuses it. */
  readonly type: string;
  /** A type that the text is converted to on its way. */
  readonly via?: string;
  /** `GENERATED ALWAYS AS IDENTITY`: inserted by an override, and never updated. */
  readonly identityAlways?: boolean;
}

interface SinkTable {
  readonly table: string;
  readonly columns: readonly SinkColumn[];
  /** The unique key whose rows are updated instead of inserted. */
  readonly key: readonly string[];
}

export interface Sink {
  write(rows: readonly SyncRow[], transaction: Transaction): Promise<void>;
}

/**
 * Upserts rows of texts in one statement, one array a column. Each text becomes a value in the sink, by the sink's own
 * type, so nothing is lost on the way. A row that is there already, text for text, is not written again.
 */
export function upsertSink({ table, columns, key }: SinkTable): Sink {
  const text = upsertStatement({ table, columns, key });
  return {
    write: async (rows, transaction) => {
      const last = lastOfEach(rows, key);
      await transaction.query(
        text,
        columns.map(({ name }) => last.map((row) => row[name] ?? null)),
      );
    },
  };
}

function upsertStatement({ table, columns, key }: SinkTable): string {
  const quoted = (name: string) => pg.escapeIdentifier(name);
  const values = columns.map(
    ({ type, via }, index) => `c${index}${via === undefined ? '' : `::${via}`}::${type}`,
  );
  const updated = columns.filter(({ name, identityAlways }) => !key.includes(name) && !identityAlways);
  const texts = (from: string) => updated.map(({ name }) => `${from}.${quoted(name)}::text`).join(', ');
  const set = updated.map(({ name }) => `${quoted(name)} = excluded.${quoted(name)}`).join(', ');
  const action =
    updated.length === 0
      ? 'NOTHING'
      : `UPDATE SET ${set} WHERE (${texts('there')}) IS DISTINCT FROM (${texts('excluded')})`;
  return `INSERT INTO ${quotedTable(table)} AS there (${columns.map(({ name }) => quoted(name)).join(', ')})
    ${columns.some(({ identityAlways }) => identityAlways) ? 'OVERRIDING SYSTEM VALUE' : ''}
    SELECT ${values.join(', ')}
      FROM unnest(${columns.map((_, index) => `$${index + 1}::text[]`).join(', ')})
           AS arrived (${columns.map((_, index) => `c${index}`).join(', ')})
    ON CONFLICT (${key.map(quoted).join(', ')}) DO ${action}`;
}

/** A row whose timestamp moved while it was read can be there twice; one statement must not write it twice. */
function lastOfEach(rows: readonly SyncRow[], key: readonly string[]): readonly SyncRow[] {
  const [only, ...others] = key;
  const keyOf =
    only !== undefined && others.length === 0
      ? (row: SyncRow) => row[only]
      : (row: SyncRow) => JSON.stringify(key.map((name) => row[name]));
  if (new Set(rows.map(keyOf)).size === rows.length) return rows;
  return [...new Map(rows.map((row) => [keyOf(row), row])).values()];
}
