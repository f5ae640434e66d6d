import pg from 'pg';
import type { LimitedType, SeenColumn, SeenTable, SeenTarget } from '../../ledger/seen-table.ts';
import { quotedTable } from '../../stores/postgres/key-columns.ts';
import type { TableShape } from '../../stores/postgres/table-shape.ts';
import type { ColumnType } from '../column-types.ts';
import { valuesDiffer } from '../shape.ts';
import type { SinkTable } from '../sink.ts';
import type { TableColumn } from '../tables.ts';

/** A column of a sink whose source was added. */
export interface AddedColumn {
  readonly to: string;
  readonly missing: string | null;
}

/** What has become of a table since it was looked at. */
export interface Alterations {
  /** Why the log does not tell all of it; null when it does. */
  readonly again: string | null;
  /** What is to be done to the sink before the stream can go on, with the statement; null for nothing. */
  readonly wanted: string | null;
  readonly added: readonly AddedColumn[];
  /** The table as it is now, with the forms that the log may still have. */
  readonly seen: SeenTable;
}

interface CatalogueColumn extends Pick<SeenColumn, 'number' | 'missing'> {
  readonly name: string;
  readonly type: string;
  readonly dropped: boolean;
}

async function catalogueColumns(pool: pg.Pool, table: string): Promise<readonly CatalogueColumn[]> {
  const { rows } = await pool.query<CatalogueColumn>(
    `SELECT attnum AS number, attname AS name, concat_ws(':', atttypid, atttypmod) AS type, attisdropped AS dropped,
            (attmissingval::text::text[])[1] AS missing
       FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 ORDER BY attnum`,
    [quotedTable(table)],
  );
  return rows;
}

/** A followed table as it is now: what it was when it was seen before is compared with it. */
export interface PresentTable extends SeenTable {
  /** The types of the columns that are copied, as they were declared. */
  readonly declared: ReadonlyMap<number, string>;
  /** The names of the sink's columns. */
  readonly sinkNames: ReadonlyMap<number, string>;
  readonly sinkTable: string;
}

interface Side {
  readonly pool: pg.Pool;
  readonly table: string;
  readonly oid: string;
  readonly types: readonly ColumnType[];
}

/** Looks at a table and its copy. */
export async function presentTable(
  source: Side & { readonly values: TableShape['values']; readonly declared: readonly TableColumn[] },
  sink: Side,
  copied: readonly { readonly from: string; readonly to: string; readonly how: string }[],
  key: readonly string[],
): Promise<PresentTable> {
  const all = await catalogueColumns(source.pool, source.table);
  const there = (await catalogueColumns(sink.pool, sink.table)).filter(({ dropped }) => !dropped);
  const present = all.filter(({ dropped }) => !dropped);
  const targetOf = (name: string): SeenTarget | null => {
    const found = copied.find(({ from }) => from === name);
    const number = there.find((column) => column.name === found?.to)?.number;
    const [from, to] = [typeOf(source, name), typeOf(sink, found?.to)];
    if (!found || number === undefined || !from || !to) return null;
    const type = { base: to.base, limitedTo: to.limitedTo };
    return { number, name: found.to, how: found.how, fits: takes(from, to), type };
  };
  const declaredAs = (name: string) => source.declared.find((column) => column.name === name)?.declared ?? '';
  return {
    ...{ source: source.oid, sink: sink.oid, values: source.values, sinkTable: sink.table },
    highest: Math.max(0, ...all.map(({ number }) => number)),
    key: key.flatMap((name) => present.find((column) => column.name === name)?.number ?? []),
    columns: present.map(({ number, name, type, missing }) => ({
      ...{ number, missing, forms: [[name, type]], to: targetOf(name) },
    })),
    declared: new Map(present.map(({ number, name }) => [number, declaredAs(name)])),
    sinkNames: new Map(there.map(({ number, name }) => [number, name])),
  };
}

function typeOf({ types }: Side, name: string | undefined): ColumnType | undefined {
  return types.find((type) => type.name === name);
}

/** What is to be remembered of a table that is copied from now on. */
export function seenFirst({ source, sink, highest, key, values, columns }: PresentTable): SeenTable {
  return { source, sink, highest, key, values, columns };
}

/** What has changed of a table. It is told by its numbers: those of columns are never given again. */
export function alterationsSince(before: SeenTable, now: PresentTable): Alterations {
  const seen = { ...seenFirst(now), columns: joined(before.columns, now.columns) };
  const added = now.columns.filter(({ number }) => number > before.highest);
  const again =
    otherTables(before, now) ??
    (valuesDiffer(before.values, now.values) ? 'a type of its columns calls its values otherwise' : null) ??
    (added.length < now.highest - before.highest ? 'a column was added and dropped again' : null) ??
    twoOfOneName(seen.columns) ??
    firstOf(now.columns, (column) => comesOtherwise(before, column));
  return {
    ...{ seen, again, wanted: again === null ? wantedOf(before, now) : null },
    added: added.flatMap(({ to, missing }) => (to ? [{ to: to.name, missing }] : [])),
  };
}

function otherTables(before: SeenTable, now: SeenTable): string | null {
  if (before.source !== now.source) return 'it is another table of the name';
  if (before.sink !== now.sink) return 'its sink is another table of the name';
  return before.key.join() === now.key.join() ? null : 'its rows are told apart by another key';
}

/** The log has names alone: where one has been that of two columns, nobody knows which it means. */
function twoOfOneName(columns: readonly SeenColumn[]): string | null {
  const owners = new Map<string, number>();
  for (const { number, forms } of columns)
    for (const [name] of forms) {
      if ((owners.get(name) ?? number) !== number) return `${name} was the name of two of its columns`;
      owners.set(name, number);
    }
  return null;
}

function comesOtherwise(before: SeenTable, { number, forms, to }: SeenColumn): string | null {
  if (!to || number > before.highest) return null;
  const was = before.columns.find((column) => column.number === number)?.to;
  const name = forms.at(-1)?.[0] ?? '';
  if (!was) return `column ${name} was not copied before`;
  if (was.how !== to.how || was.number !== to.number) return `column ${name} is copied otherwise than before`;
  return takes(was.type, to.type) ? null : `what column ${name} is copied to takes less than before`;
}

/** The statement that lets the sink have what the source has by now. */
function wantedOf(before: SeenTable, now: PresentTable): string | null {
  const table = quotedTable(now.sinkTable);
  return firstOf(before.columns, ({ number, to: was }) => {
    const is = now.columns.find((column) => column.number === number);
    if (was && !is && now.sinkNames.get(was.number) === was.name)
      return `column ${was.name} was dropped in the source: ALTER TABLE ${table} DROP COLUMN ${pg.escapeIdentifier(was.name)}`;
    if (!is?.to || is.to.fits || was?.fits !== true) return null;
    const type = now.declared.get(number) ?? '';
    return (
      `column ${is.to.name} is ${type} in the source by now: ` +
      `ALTER TABLE ${table} ALTER COLUMN ${pg.escapeIdentifier(is.to.name)} TYPE ${type}`
    );
  });
}

/** With the forms of both: the log that is still to be read may have either. */
function joined(before: readonly SeenColumn[], now: readonly SeenColumn[]): readonly SeenColumn[] {
  const gone = before.filter(({ number }) => now.every((column) => column.number !== number));
  return [
    ...gone.map((column) => ({ ...column, to: null })),
    ...now.map((column) => withForms(before, column)),
  ];
}

function withForms(before: readonly SeenColumn[], column: SeenColumn): SeenColumn {
  const was = before.find(({ number }) => number === column.number);
  if (!was) return column;
  const others = was.forms.filter((form) => !column.forms.some((one) => one.join() === form.join()));
  return { ...column, missing: was.missing, forms: [...others, ...column.forms] };
}

/** The first answer that is one. */
export function firstOf<Item>(items: Iterable<Item>, find: (item: Item) => string | null): string | null {
  for (const item of items) {
    const found = find(item);
    if (found !== null) return found;
  }
  return null;
}

const integers: readonly string[] = ['smallint', 'integer', 'bigint', 'numeric'];

/** A value of these is one of the same type with a higher limit, written alike. */
const growing: readonly string[] = [
  ...['character varying', 'bit varying', 'numeric'],
  ...['time without time zone', 'timestamp without time zone', 'timestamp with time zone'],
];

/** Whether every value of one type is one of another, written alike. */
function takes(source: LimitedType, sink: LimitedType): boolean {
  const isFree = sink.limitedTo === sink.base;
  if (sink.base === 'text' || (sink.base === 'character varying' && isFree)) return true;
  if (source.base !== sink.base) {
    const place = integers.indexOf(source.base);
    return isFree && place >= 0 && source.base !== 'numeric' && place < integers.indexOf(sink.base);
  }
  if (isFree || source.limitedTo === sink.limitedTo) return true;
  if (!growing.includes(source.base)) return false;
  const [[from = 0, fraction = 0], [most = 0, digits = 0]] = [limitsOf(source), limitsOf(sink)];
  return limitsOf(source).length > 0 && from - fraction <= most - digits && fraction <= digits;
}

/** A length, a precision, or a precision and a scale; empty where the type has none. */
function limitsOf({ limitedTo }: LimitedType): readonly number[] {
  return (/\(([-\d,]+)\)/u.exec(limitedTo)?.[1] ?? '').split(',').filter(Boolean).map(Number);
}

/** What is to be done where rows of a sink have something else than those of the source had when a column was added there. */
export async function unlikeAdded(
  pool: pg.Pool,
  { table, columns }: SinkTable,
  added: readonly AddedColumn[],
): Promise<string | null> {
  for (const { to, missing } of added) {
    const column = pg.escapeIdentifier(to);
    const type = columns.find(({ name }) => name === to)?.type ?? 'text';
    const { rows } = await pool.query<{ any: boolean }>(
      `SELECT EXISTS (SELECT FROM ${quotedTable(table)} WHERE ${column}::text IS DISTINCT FROM $1::${type}::text) AS any`,
      [missing],
    );
    const value = missing === null ? 'NULL' : pg.escapeLiteral(missing);
    if (rows[0]?.any)
      return (
        `column ${to} was added to the source, and rows of the sink have another value in it than those had: ` +
        `UPDATE ${quotedTable(table)} SET ${column} = ${value} WHERE ${column}::text IS DISTINCT FROM ${value}::${type}::text`
      );
  }
  return null;
}
