import pg from 'pg';
import type { SelectQueryBuilder } from 'kysely';
import { cursorOf, type KeyRange, nameOfKey } from '../../contract/cursor.ts';
import { answeredOnce } from '../../contract/answered-once.ts';
import {
  emptyPage,
  type ReadPage,
  type ReadPlan,
  type ReadRequest,
  type Reader,
} from '../../contract/reader.ts';
import { type KeyColumn, describeKey, inRange, keyAlias, keyOf, keyProblems } from './key-columns.ts';
import {
  type ColumnsRow,
  columnsQuery,
  readableAsColumns,
  type ResultColumn,
  rowsOf,
} from './column-page.ts';
import { refuseForeignOrder } from './foreign-order.ts';
import { keyOrder } from './key-order.ts';
import { isReadAsText, selectedAs, textOfKey } from './key-places.ts';
import { planRanges } from './key-ranges.ts';
import type { KeyedRows } from './keyed-rows.ts';
import { boundedQuery, boundedRows } from './bounded-query.ts';
import { areLarge, RowSize } from './row-size.ts';
import type { MostRows, SizedRows } from './rows-by-bytes.ts';
import { firstKeys, refuseRepeated, refuseRepeatedFirst } from './repeated-keys.ts';
import { fixedColumns, mayMultiply, refuseUnpageable, UnusableQuery } from './query-shape.ts';
import type { TextRow } from './rows-of-texts.ts';
import { splitRange } from './key-split.ts';
import { readByKeys } from './read-by-keys.ts';
import { mayHideRows } from './row-security.ts';
import { positionOfSource, requireSkipped } from './standby.ts';
import { type TextPage, TextPages } from './text-page.ts';
import { requireUniqueKey } from './unique-key.ts';
import { unreadable } from './value-size.ts';

export interface KeysetSource<Database, Table extends keyof Database & string, Row> extends KeyedRows<
  Database,
  Table,
  Row
> {
  /** What reads an item again that was skipped, where skipping it keeps `query` from matching it. @default query */
  readonly again?: SelectQueryBuilder<Database, Table, Row>;
}

/**
 * Reads a table in key order by `WHERE (key) > (last key) ORDER BY key LIMIT n`: as fast on the last page as on
 * the first, and safe when the job itself changes what the query matches.
 *
 * The upper end is frozen when the step opens: rows inserted above it later belong to another run. The key must
 * not be updated while the job runs.
 */
export function keysetReader<Database, Table extends keyof Database & string, Row>(
  source: KeysetSource<Database, Table, Row>,
): Reader<Row> {
  return readerOf(source);
}

/** The same for rows of texts that are only handed on to a statement: their values are not taken one by one. */
export function handingReader<Database, Table extends keyof Database & string, Row extends TextRow>(
  source: KeysetSource<Database, Table, Row>,
): Reader<TextRow> {
  return readerOf<Database, Table, TextRow>(source, new TextPages(source.pool));
}

function readerOf<Database, Table extends keyof Database & string, Row>(
  source: KeysetSource<Database, Table, Row>,
  texts?: TextPages,
): Reader<Row> {
  const keyColumns = describedOnce(source);
  const fieldsOf = answeredOnce((query: SelectedPage) => describeResult(source.pool, query));
  const size = new RowSize(source.pool);
  return {
    plan: (request) => planRows(source, keyColumns, request),
    order: async () => keyOrder(source.pool, await keyColumns()),
    problems: async () => {
      await keyColumns();
      return readerProblems(source);
    },
    read: async (request) =>
      readPage({ source, columns: await keyColumns(), fieldsOf, size, texts }, request),
    split: async (request) => splitRange(source, await keyColumns(), request),
    position: () => positionOfSource(source.pool),
    readKeys: async ({ keys, since, signal }) => {
      if (since) await requireSkipped(source.pool, since);
      return readByKeys(source.pool, source.again ?? source.query, await keyColumns(), keys, signal);
    },
  };
}

/**
 * The key's columns, looked up when they are first asked for.
 *
 * @throws UnusableQuery at once, for a query that cannot be paged, and when they are looked up for one that another server
 * may sort; UnusableKey then, too.
 */
export function describedOnce<Database, Table extends keyof Database & string, Row>({
  pool,
  query,
  table,
  key,
}: KeyedRows<Database, Table, Row>): () => Promise<readonly KeyColumn[]> {
  refuseUnpageable(query, table);
  return answeredOnce(async () => {
    const columns = await describeKey(pool, table, key);
    await requireUniqueKey(pool, table, key, fixedColumns(query, table));
    await refuseForeignOrder(pool, query, columns);
    return columns;
  });
}

/** What people should know of a reader before it runs. */
export async function readerProblems<Database, Table extends keyof Database & string, Row>({
  pool,
  table,
  key,
}: KeyedRows<Database, Table, Row>): Promise<readonly string[]> {
  const hidden = `row security decides which rows of ${table} the role sees, and those that it hides are not read. If all are meant, use a role with BYPASSRLS`;
  return [...(await keyProblems(pool, table, key)), ...((await mayHideRows(pool, table)) ? [hidden] : [])];
}

/** Divides the keys of these rows among partitions. */
export async function planRows<Database, Table extends keyof Database & string, Row>(
  rows: KeyedRows<Database, Table, Row>,
  keyColumns: () => Promise<readonly KeyColumn[]>,
  { partitions, signal }: { readonly partitions: number; readonly signal?: AbortSignal },
): Promise<ReadPlan> {
  const above = (await rows.above?.()) ?? null;
  return planRanges({ ...rows, columns: await keyColumns(), above, partitions, signal });
}

/** What reading a page has told for the next one. */
interface PageReading<Database, Table extends keyof Database & string, Row> {
  readonly source: KeysetSource<Database, Table, Row>;
  readonly columns: readonly KeyColumn[];
  /** The columns of the query's result. */
  fieldsOf(query: SelectedPage): Promise<readonly pg.FieldDef[]>;
  readonly size: RowSize;
  /** Where the rows are handed on as texts. */
  readonly texts?: TextPages | undefined;
}

async function readPage<Database, Table extends keyof Database & string, Row>(
  { source, columns, fieldsOf, size, texts }: PageReading<Database, Table, Row>,
  { range, after, limit, bytes, signal }: ReadRequest,
): Promise<ReadPage<Row>> {
  // Where each text stands in a row: in the column itself if that is text as it comes, else in one beside it.
  const places = columns.map((column, index) =>
    isReadAsText(source, column) ? column.name : keyAlias(index),
  );
  const beside = columns.flatMap((column, index) =>
    places[index] === column.name ? [] : [textOfKey(column).as(keyAlias(index))],
  );
  const wanted = size.rowsIn(bytes, limit);
  // Of rows with one key those behind a page's end would be lost, so the row behind it is looked at.
  const repeats = mayMultiply(source.query, source.table);
  const asked = repeats ? wanted + 1 : wanted;
  const lower = after ?? range.lower;
  const { sql: text, parameters } = inRange(source.query, columns, { lower, upper: range.upper })
    .$if(beside.length > 0, (query) => query.select(beside))
    .orderBy(keyOf(columns))
    .limit(asked)
    .compile();
  const page = { text, values: [...parameters] };
  const fields = await fieldsOf(page);
  if (texts && !repeats && size.areSmall(asked)) {
    const same = sameTexts(source, columns);
    const found = await texts.read(page, fields, { signal, bytes, rows: asked, places, same });
    if (found) {
      size.measured(found.rows.length, [found.bytes]);
      return textPageOf<Row>(found, places, { isFull: found.rows.length === asked, isCut: wanted < limit });
    }
  }
  const most = { signal, bytes: bytes ?? Infinity, rows: asked };
  const found = await rowsOfQuery(source.pool, page, readableAsColumns(fields), most).catch(
    (error: unknown) => {
      if (!unreadable(error)) throw error;
      return undefined;
    },
  );
  if (!found) return readAlone({ source, columns }, { lower, upper: range.upper }, signal);
  size.measured(found.rows.length, found.sizes);
  const more = found.cut || (found.rows.length === asked && wanted < limit);
  const last = !found.cut && found.rows.length < asked;
  if (!repeats) return { ...pageOf(found, found.rows as Row[], places, more), last };
  refuseRepeated(found.rows, places, source.table);
  if (found.cut && found.rows.length === 1)
    await refuseRepeatedFirst({ source, columns }, { lower, signal, range });
  const kept = found.rows.slice(0, Math.max(1, found.cut ? found.rows.length - 1 : wanted));
  return { ...pageOf({ ...found, rows: kept }, kept as Row[], places, more), last };
}

/** The first row of a range, which may have a value that cannot be read: then it is an item that could not be. */
async function readAlone<Database, Table extends keyof Database & string, Row>(
  { source, columns }: Pick<PageReading<Database, Table, Row>, 'source' | 'columns'>,
  range: KeyRange,
  signal: AbortSignal,
): Promise<ReadPage<Row>> {
  const keys = await firstKeys(source, columns, range, 1, signal);
  const [read] = await readByKeys(source.pool, source.query, columns, keys, signal).catch(
    (error: unknown) => {
      const found = unreadable(error);
      if (!found) throw error;
      return [{ error: found }];
    },
  );
  const [key] = keys;
  if (!key || !read) return emptyPage(key);
  return {
    items: ['item' in read ? read.item : (undefined as Row)],
    cursorAt: () => key,
    keyAt: () => nameOfKey(key),
    errorAt: () => ('error' in read ? read.error : undefined),
    passed: key,
  };
}

interface SelectedPage {
  readonly text: string;
  readonly values: unknown[];
}

async function rowsOfQuery(
  pool: pg.Pool,
  { text, values }: SelectedPage,
  columns: readonly ResultColumn[] | undefined,
  bounds: MostRows & { readonly signal: AbortSignal },
): Promise<SizedRows> {
  if (!columns) return boundedRows(pool, text, values, bounds);
  const { rows } = await boundedQuery<ColumnsRow>(pool, columnsQuery(text, columns), values, bounds);
  const all = rows.flatMap((row) => rowsOf(row, columns, pool.options.types ?? pg.types));
  return { rows: all, sizes: [], cut: false };
}

/** The columns of a query's result. Nothing is run for it: the server only plans. */
async function describeResult(
  pool: pg.Pool,
  { text, values }: SelectedPage,
): Promise<readonly pg.FieldDef[]> {
  const { fields } = await pool.query(`SELECT * FROM (${text}) AS page LIMIT 0`, values);
  refuseNamedAlike(fields);
  return fields;
}

/** A row has one value of a name: of two columns of one name the last. */
function refuseNamedAlike(fields: readonly pg.FieldDef[]): void {
  const names = fields.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new UnusableQuery(
    `the query of the reader gives two columns that are called ${twice}, and its rows would hold one of them: give each a name of its own (as)`,
  );
}

/** The keys are taken out before anybody has the rows: a processor may change them. */
function pageOf<Row>(
  { rows, sizes }: SizedRows,
  items: Row[],
  places: readonly string[],
  more: boolean,
): ReadPage<Row> {
  const texts = places.map((place) => rows.map((row): string => row[place]));
  const cursorAt = (index: number) => cursorOf(texts.map((column) => column[index] ?? ''));
  return {
    items,
    cursorAt,
    keyAt: (index) => nameOfKey(cursorAt(index)),
    ...(areLarge(sizes) ? { bytesAt: (index: number) => sizes[index] ?? 0 } : {}),
    ...(more ? { passed: cursorAt(rows.length - 1) } : {}),
  };
}

function textPageOf<Row>(
  found: TextPage,
  places: readonly string[],
  { isFull, isCut }: { readonly isFull: boolean; readonly isCut: boolean },
): ReadPage<Row> {
  const cursorAt = (index: number) => cursorOf(places.map((place) => found.at(place, index) ?? ''));
  return {
    items: found.rows as unknown[] as Row[],
    cursorAt,
    keyAt: (index) => nameOfKey(cursorAt(index)),
    ...(isFull && isCut ? { passed: cursorAt(found.rows.length - 1) } : {}),
    last: !isFull,
  };
}

/** What the query selects of the key itself, by what is selected beside it. */
function sameTexts<Database, Table extends keyof Database & string, Row>(
  source: KeysetSource<Database, Table, Row>,
  columns: readonly KeyColumn[],
): ReadonlyMap<string, string> {
  return new Map(
    columns.flatMap((column, index) => {
      const name = selectedAs(source, column);
      return name === undefined ? [] : [[keyAlias(index), name]];
    }),
  );
}
