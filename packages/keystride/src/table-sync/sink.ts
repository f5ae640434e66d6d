import pg from 'pg';
import { quotedTable } from '../stores/postgres/key-columns.ts';
import { RowNotKept } from '../stores/postgres/kept-rows.ts';
import { columnsOf, lastOfEach } from '../stores/postgres/rows-of-texts.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { SyncRow } from './sync-row.ts';

/** A column of the sink. */
export interface SinkColumn {
  readonly name: string;
  /**
   * Its type as PostgreSQL writes it, below all domains and without a length: a cast would cut what is too long, an
   * insert refuses it.
   */
  readonly type: string;
  /** A type that the text is converted to on its way. */
  readonly via?: string;
  /** Its type with all that was declared, where a value that this changes is to be refused. */
  readonly declared?: string;
  /** The type in which what `declared` makes of a value must equal what was sent. */
  readonly exactIn?: string;
  /** When its type reads a text as another value than it says: see `misread` of exact values. */
  readonly misread?: string;
  /** `GENERATED ALWAYS AS IDENTITY`: inserted by an override, and never updated. */
  readonly identityAlways?: boolean;
  /** Its type takes values that are written differently for one: of a key, the writing is updated as any other column. */
  readonly loose?: boolean;
}

export interface SinkTable {
  readonly table: string;
  readonly columns: readonly SinkColumn[];
  /** The unique key whose rows are updated instead of inserted. */
  readonly key: readonly string[];
  /** Whether a trigger has rows in hand when they are written, and may change or remove them. @default false */
  readonly changesRows?: boolean;
}

export interface Sink {
  write(rows: readonly SyncRow[], transaction: Transaction): Promise<void>;
}

/**
 * Upserts rows of texts in one statement, one array a column. Each text becomes a value in the sink, by the sink's own
 * type, so nothing is lost on the way. A row that is there already, text for text, is not written again.
 *
 * A value that the sink's type would change is refused as one that is too long (SQLSTATE 22001).
 *
 * @throws RowNotKept when a trigger of the sink has left out a row, removed it, or given it another key.
 */
export function upsertSink(sink: SinkTable): Sink {
  const { table, columns, key, changesRows } = sink;
  const upsert = upsertStatement(sink);
  const lacking = lackingStatement(sink);
  // A table of one column that numbers itself is never updated, and nothing is counted.
  const counts = columns.some(({ identityAlways }) => !identityAlways);
  return {
    write: async (rows, transaction) => {
      // A row whose timestamp moved while it was read can be there twice; one statement must not write it twice.
      const last = lastOfEach(rows, key);
      const texts = columnsOf(
        last,
        columns.map(({ name }) => name),
      );
      const { rowCount } = await transaction.query(upsert, texts);
      const others = last.length - (rowCount ?? 0);
      if (others > 0 && counts && others !== (await takeUnchanged(transaction)))
        throw new RowNotKept(`${table} took a row that it does not have: a trigger of it leaves rows out`);
      if (changesRows === true && ((await transaction.query(lacking, texts)).rowCount ?? 0) > 0)
        throw new RowNotKept(
          `${table} took a row that it does not have: a trigger of it changes its key, or removes it`,
        );
    },
  };
}

/** Counts the rows of a statement that were as they should be, in the transaction, for nothing else would tell of them. */
const counter = 'keystride.unchanged';

const countUnchanged = `set_config('${counter}',
  (coalesce(nullif(current_setting('${counter}', true), ''), '0')::int + 1)::text, true) IS NULL`;

async function takeUnchanged(transaction: Transaction): Promise<number> {
  const { rows } = await transaction.query<{ unchanged: string | null }>(
    `SELECT current_setting('${counter}', true) AS unchanged, set_config('${counter}', '0', true)`,
  );
  return Number(rows[0]?.unchanged ?? 0);
}

/** Looks for a row that was sent and is not there under its key. */
function lackingStatement({ table, columns, key }: SinkTable): string {
  const isThere = key.map((name) => {
    const index = columns.findIndex((column) => column.name === name);
    return `there.${quoted(name)} = ${plainValue(columns[index] as SinkColumn, index)}`;
  });
  return `SELECT FROM ${arrived(columns)}
    WHERE NOT EXISTS (SELECT FROM ${quotedTable(table)} AS there WHERE ${isThere.join(' AND ')}) LIMIT 1`;
}

const quoted = (name: string) => pg.escapeIdentifier(name);

function upsertStatement({ table, columns, key }: SinkTable): string {
  const settable = columns.filter(({ identityAlways }) => !identityAlways).map(({ name }) => name);
  const isLoose = (name: string) => columns.some((column) => column.name === name && column.loose === true);
  const names = settable.filter((name) => !key.includes(name) || isLoose(name));
  const set = names.length > 0 ? names : settable;
  // By its bytes: the collation of a column may take two texts for one.
  const texts = (from: string) => names.map((name) => `${from}.${quoted(name)}::text COLLATE "C"`).join(', ');
  const changed = names.length > 0 ? `(${texts('there')}) IS DISTINCT FROM (${texts('excluded')})` : 'false';
  return `INSERT INTO ${quotedTable(table)} AS there (${columns.map(({ name }) => quoted(name)).join(', ')})
    ${columns.some(({ identityAlways }) => identityAlways) ? 'OVERRIDING SYSTEM VALUE' : ''}
    SELECT ${columns.map(exactValue).join(', ')} FROM ${arrived(columns)}
    ON CONFLICT (${key.map(quoted).join(', ')}) DO ${
      set.length === 0
        ? 'NOTHING'
        : `UPDATE SET ${set.map((name) => `${quoted(name)} = excluded.${quoted(name)}`).join(', ')}
            WHERE CASE WHEN ${changed} THEN true ELSE ${countUnchanged} END`
    }`;
}

/**
 * Updates rows of which some columns are known, and the key, in one statement.
 *
 * @param names the columns that are known.
 * @returns the indexes of rows that are not there.
 */
export async function updateKnown(
  { table, columns, key }: SinkTable,
  names: readonly string[],
  rows: readonly SyncRow[],
  transaction: Transaction,
): Promise<readonly number[]> {
  const given = columns.filter(({ name }) => names.includes(name) || key.includes(name));
  const at = (name: string) => given.findIndex((column) => column.name === name);
  const settable = given.filter(({ name, identityAlways }) => !identityAlways && !key.includes(name));
  // Of a row whose other columns are all unknown, or cannot be set, only that it is there is to be found out.
  const set = settable.length > 0 ? settable : given.filter(({ name }) => key.includes(name)).slice(0, 1);
  const assigned = set.map((column) => {
    const value = settable.length > 0 ? exactValue(column, at(column.name)) : `there.${quoted(column.name)}`;
    return `${quoted(column.name)} = ${value}`;
  });
  const same = key.map((name) => {
    const index = at(name);
    return `there.${quoted(name)} = ${plainValue(given[index] as SinkColumn, index)}`;
  });
  const { rows: found } = await transaction.query<{ place: string }>(
    `UPDATE ${quotedTable(table)} AS there SET ${assigned.join(', ')}
       FROM ${arrived(given, 'place')} WHERE ${same.join(' AND ')} RETURNING place`,
    given.map(({ name }) => rows.map((row) => row[name] ?? null)),
  );
  const there = new Set(found.map(({ place }) => Number(place) - 1));
  return rows.flatMap((_, index) => (there.has(index) ? [] : [index]));
}

/**
 * Gives a row another key, and the values that are known; what it has in the other columns stays.
 *
 * @param before the old key, in the order of the sink's key.
 * @returns whether it was there.
 */
export async function changeKey(
  { table, columns, key }: SinkTable,
  row: Readonly<Record<string, string | null | undefined>>,
  before: readonly string[],
  transaction: Transaction,
): Promise<boolean> {
  const known = columns.filter(({ name }) => row[name] !== undefined);
  const set = known.map((column, index) => `${quoted(column.name)} = ${exactValue(column, index)}`);
  const old = key.map((name) => columns.find((column) => column.name === name) as SinkColumn);
  const same = old.map(
    (column, index) => `there.${quoted(column.name)} = ${plainValue(column, known.length + index)}`,
  );
  const { rowCount } = await transaction.query(
    `UPDATE ${quotedTable(table)} AS there SET ${set.join(', ')}
       FROM ${arrived([...known, ...old])} WHERE ${same.join(' AND ')}`,
    [...known.map(({ name }) => [row[name] ?? null]), ...before.map((text) => [text])],
  );
  return (rowCount ?? 0) > 0;
}

/**
 * Which of some keys rows of the sink have that were written with others: its types may take several texts for one value.
 *
 * @param keys in the order of the sink's key, as those that were written.
 * @returns the indexes of these keys
 */
export async function keysOfRows(
  { table, columns, key }: SinkTable,
  keys: readonly (readonly string[])[],
  written: readonly (readonly string[])[],
  transaction: Transaction,
): Promise<readonly number[]> {
  const same = (from: string) =>
    key.map((name, index) => {
      const type = columns.find((column) => column.name === name)?.type ?? 'text';
      return `there.${quoted(name)} = ${from}.c${index}::${type}`;
    });
  const names = key.map((_, index) => `c${index}`).join(', ');
  const arrays = (first: number) => key.map((_, index) => `$${first + index}::text[]`).join(', ');
  // By the columns of the table itself: they know the collation.
  const { rows } = await transaction.query<{ place: string }>(
    `SELECT DISTINCT place
       FROM unnest(${arrays(1)}) WITH ORDINALITY AS sought (${names}, place)
       JOIN ${quotedTable(table)} AS there ON ${same('sought').join(' AND ')}
       JOIN unnest(${arrays(key.length + 1)}) AS written (${names}) ON ${same('written').join(' AND ')}`,
    [keys, written].flatMap((those) => key.map((_, index) => those.map((texts) => texts[index]))),
  );
  return rows.map(({ place }) => Number(place) - 1);
}

function arrived(columns: readonly SinkColumn[], place?: string): string {
  const arrays = columns.map((_, index) => `$${index + 1}::text[]`);
  const names = columns.map((_, index) => `c${index}`);
  return place === undefined
    ? `unnest(${arrays.join(', ')}) AS arrived (${names.join(', ')})`
    : `unnest(${arrays.join(', ')}) WITH ORDINALITY AS arrived (${[...names, place].join(', ')})`;
}

/** The value of column `index`, before its column's length is applied. */
function plainValue({ type, via }: SinkColumn, index: number): string {
  return `c${index}${via === undefined ? '' : `::${via}`}::${type}`;
}

/** The same value, or an error where the column would store another. */
function exactValue(column: SinkColumn, index: number): string {
  const value = plainValue(column, index);
  const kept = [...isSame(column, index, value), ...isRead(column, index)];
  if (kept.length === 0) return value;
  // What PostgreSQL does to a text that is too long, for a value of any type. It names the column, or it were a constant.
  const refusal = `pg_catalog."varchar"(('too long' || left(c${index}, 0))::varchar, 5, false)::text::${column.type}`;
  return `CASE WHEN ${kept.join(' AND ')} THEN ${value} ELSE ${refusal} END`;
}

function isSame({ type, exactIn, declared = type }: SinkColumn, index: number, value: string): string[] {
  if (exactIn === undefined) return [];
  const stored = `(${value})::${declared}`;
  const [sent, back] =
    exactIn === type
      ? [value, `(${stored})::${type}`]
      : [`c${index}::${exactIn}`, `(${stored})::text::${exactIn}`];
  return [`${back} IS NOT DISTINCT FROM ${sent}`];
}

function isRead({ misread }: SinkColumn, index: number): string[] {
  return misread === undefined ? [] : [`(${misread.replaceAll('{}', `c${index}`)}) IS NOT TRUE`];
}
