import type pg from 'pg';
import { AliasNode, type RawBuilder, SelectAllNode, type SelectQueryBuilder, sql } from 'kysely';
import { type Cursor, cursorOf, type KeyRange } from '../../contract/cursor.ts';
import { boundedQuery } from './bounded-query.ts';
import { boundedAlike, type ComparedKeyColumn, describeComparedKey } from './compared-key.ts';
import { inRange, keyAlias, keyOf, quotedTable } from './key-columns.ts';
import { columnIn } from './sql.ts';
import { answeredOnce } from '../../contract/answered-once.ts';
import { codeOf } from '../causes.ts';

/** One side of a comparison. */
export interface ComparedRows<Database, Table extends keyof Database & string, Row> {
  readonly pool: pg.Pool;
  /**
   * What is compared: the same columns in the same order, of the same types, on both sides. Selected as text, they are
   * compared as the database writes them.
   */
  readonly query: SelectQueryBuilder<Database, Table, Row>;
  readonly table: Table;
  /** A unique, not nullable key in the order of an index. */
  readonly key: readonly (keyof Database[Table] & string)[];
  /** What stands for the key's columns on the other side, as text, where that is not what they hold. */
  readonly keyTexts?: readonly RawBuilder<string | null>[];
}

export interface Digest {
  readonly rows: number;
  readonly hash: string;
}

/** Of no rows. */
export const nothing: Digest = { rows: 0, hash: '0 0' };

export interface HashedRow {
  /** As its own side writes it. */
  readonly key: Cursor;
  /** As it is looked for on the other side. */
  readonly sought: Cursor;
  readonly hash: string;
}

/** A row that was found, and the place among those that were looked for. */
export interface FoundRow {
  readonly place: number;
  readonly key: Cursor;
  readonly hash: string;
  /** Its version, where that was asked for: another one after each change. Null where there is none. */
  readonly version: string | null;
}

/** A side whose types are known to itself alone. Every read ends, on the server too, when the signal aborts. */
export interface ComparedSide {
  readonly table: string;
  /** Its keys are another text on the other side. */
  readonly isTranslated: boolean;
  columns(): Promise<readonly ComparedKeyColumn[]>;
  digest(range: KeyRange, signal: AbortSignal): Promise<Digest>;
  hashes(range: KeyRange, signal: AbortSignal): Promise<readonly HashedRow[]>;
  /** The key that so many rows of the range end with; null when it has fewer. */
  cut(range: KeyRange, rows: number, signal: AbortSignal): Promise<Cursor | null>;
  /** The next rows in the side's own order. */
  page(after: Cursor | null, limit: number, signal: AbortSignal): Promise<readonly HashedRow[]>;
  /** Rows that have these keys of the other side, by what this side takes for equal. */
  find(
    keys: readonly Cursor[],
    signal: AbortSignal,
    options?: { readonly versions?: boolean },
  ): Promise<readonly FoundRow[]>;
  /** Whether two keys are one to this side, for each pair. */
  same(pairs: readonly (readonly [Cursor, Cursor])[], signal: AbortSignal): Promise<readonly boolean[]>;
}

export function comparedSide<Database, Table extends keyof Database & string, Row>(
  rows: ComparedRows<Database, Table, Row>,
): ComparedSide {
  const { pool, query, table, key, keyTexts } = rows;
  const columns = answeredOnce(() => describeComparedKey(pool, table, key));
  const versioned = answeredOnce(() => hasVersions(pool, table));
  const hash = answeredOnce(async () => rowHash(rows, await isUtf8(pool)).as('keystride_hash'));
  const ask = async <Answer extends pg.QueryResultRow>(
    text: string,
    values: readonly unknown[],
    signal: AbortSignal,
  ) => (await boundedQuery<Answer>(pool, text, values, { signal })).rows;
  const inCommonRange = async (range: KeyRange) => inRange(query, boundedAlike(await columns()), range);
  const hashed = async (of: typeof query, signal: AbortSignal): Promise<readonly HashedRow[]> => {
    const own = (await columns()).map(({ reference }) => sql`${reference}::text`);
    const { sql: text, parameters } = of
      .clearSelect()
      .select([
        await hash(),
        arrayOf(own).as('keystride_key'),
        arrayOf(keyTexts ?? own).as('keystride_sought'),
      ])
      .compile();
    const found = await ask<{ keystride_hash: string; keystride_key: string[]; keystride_sought: string[] }>(
      text,
      parameters,
      signal,
    );
    return found.map((row) => ({
      key: cursorOf(row.keystride_key),
      sought: cursorOf(row.keystride_sought),
      hash: row.keystride_hash,
    }));
  };
  return {
    table,
    isTranslated: keyTexts !== undefined,
    columns,
    digest: async (range, signal) => {
      const compared = (await inCommonRange(range))
        .clearSelect()
        .select(await hash())
        .compile();
      const [digest] = await ask<Digest>(digestOf(compared.sql), compared.parameters, signal);
      return digest ?? nothing;
    },
    hashes: async (range, signal) => hashed(await inCommonRange(range), signal),
    cut: async (range, count, signal) => {
      const own = await columns();
      const { sql: keys, parameters } = (await inCommonRange(range))
        .clearSelect()
        .select(own.map(({ reference }, index) => reference.as(keyAlias(index))))
        .orderBy(keyOf(own))
        .offset(count - 1)
        .limit(1)
        .compile();
      // Of the rows that it passes over PostgreSQL would make texts, too.
      const texts = own.map((_, index) => `${keyAlias(index)}::text`);
      const text = `SELECT ARRAY[${texts.join(', ')}]::text[] AS key FROM (${keys}) AS keystride_last`;
      const [last] = await ask<{ key: string[] }>(text, parameters, signal);
      return last ? cursorOf(last.key) : null;
    },
    page: async (after, limit, signal) => {
      const own = await columns();
      return hashed(
        inRange(query, own, { lower: after, upper: null }).orderBy(keyOf(own)).limit(limit),
        signal,
      );
    },
    find: async (keys, signal, { versions } = {}) => {
      const own = await columns();
      const version =
        versions && (await versioned())
          ? sql<string | null>`${columnIn(table, 'xmin')}::text`
          : sql<string | null>`null`;
      const { sql: text, parameters } = query
        .clearSelect()
        .select([
          await hash(),
          ...own.map(({ reference }, index) => reference.as(keyAlias(index))),
          arrayOf(keyTexts ?? own.map(({ reference }) => sql`${reference}::text`)).as('keystride_texts'),
          version.as('keystride_version'),
        ])
        .compile();
      const look = (asText: boolean) =>
        ask<FoundRow>(
          lookUp(text, parameters.length, own, asText),
          [...parameters, ...arraysOf(own, keys)],
          signal,
        );
      return (await (keyTexts ? look(true) : withText(look))).map((row) => ({
        ...row,
        key: cursorOf(row.key),
      }));
    },
    same: async (pairs, signal) => {
      if (pairs.length === 0) return [];
      const own = await columns();
      const arrays = [0, 1].flatMap((side) =>
        arraysOf(
          own,
          pairs.map((pair) => pair[side === 0 ? 0 : 1]),
        ),
      );
      const answers = await ask<{ same: boolean }>(sameKeys(own), arrays, signal);
      return answers.map(({ same }) => same);
    },
  };
}

/** A view has rows without versions, and so have a foreign table and one with such a partition. */
async function hasVersions(pool: pg.Pool, table: string): Promise<boolean> {
  const { rows } = await pool.query<{ plain: boolean }>(
    `WITH RECURSIVE family (id) AS (
       SELECT to_regclass($1)::oid
       UNION
       SELECT inhrelid FROM pg_inherits JOIN family ON inhparent = id)
     SELECT bool_and(relkind IN ('r', 'p')) AS plain FROM family JOIN pg_class ON pg_class.oid = id`,
    [quotedTable(table)],
  );
  return rows[0]?.plain === true;
}

/**
 * A hash of a row's text: a record's text puts every value in quotes that could be taken for another, and nulls are not
 * empty texts in it. What is selected is hashed itself, by no name: a column may have any.
 *
 * @param utf8 its database has texts as both sides are to hash them.
 */
function rowHash<Database, Table extends keyof Database & string, Row>(
  { query, table }: ComparedRows<Database, Table, Row>,
  utf8: boolean,
): RawBuilder<string> {
  const values = (query.toOperationNode().selections ?? []).map(({ selection }) => {
    if (SelectAllNode.is(selection)) return sql`${sql.table(table)}.*`;
    return { toOperationNode: () => (AliasNode.is(selection) ? selection.node : selection) };
  });
  const text = sql`ROW(${sql.join(values)})::text`;
  return utf8 ? sql<string>`md5(${text})` : sql<string>`md5(convert_to(${text}, 'UTF8'))`;
}

async function isUtf8(pool: pg.Pool): Promise<boolean> {
  const { rows } = await pool.query<{ utf8: boolean }>(
    `SELECT current_setting('server_encoding') = 'UTF8' AS utf8`,
  );
  return rows[0]?.utf8 === true;
}

/**
 * Both halves as numbers: these add up to the same whatever order rows come in. Sums need no sort. Each row is hashed
 * once, because of the `OFFSET`: without it PostgreSQL puts the hash into either half, text and all.
 */
function digestOf(query: string): string {
  const half = (bits: string) => `coalesce(sum((${bits})::bit(64)::bigint), 0)::text`;
  return `SELECT count(*)::float8 AS rows, ${half('bits')} || ' ' || ${half('bits << 64')} AS hash
    FROM (SELECT ('x' || keystride_hash)::bit(128) AS bits FROM (${query}) AS keystride_compared OFFSET 0) AS hashed`;
}

function arrayOf(texts: readonly RawBuilder<unknown>[]): RawBuilder<string[]> {
  return sql<string[]>`ARRAY[${sql.join(texts)}]::text[]`;
}

/** One array of texts a key column: the number of keys is not bounded by the parameters of a statement. */
function arraysOf(columns: readonly ComparedKeyColumn[], keys: readonly Cursor[]): unknown[] {
  return columns.map((_, index) => keys.map((key) => key[index] ?? null));
}

function lookUp(
  query: string,
  parameters: number,
  columns: readonly ComparedKeyColumn[],
  asText: boolean,
): string {
  const wanted = columns.map((_, index) => `$${parameters + index + 1}::text[]`);
  const equal = columns.map(({ base }, index) =>
    asText
      ? `found.keystride_texts[${index + 1}] COLLATE "C" = wanted.k${index}`
      : `found.${keyAlias(index)} = wanted.k${index}::${base}`,
  );
  return `SELECT wanted.place::int AS place, found.keystride_texts AS key, found.keystride_hash AS hash,
           found.keystride_version AS version
    FROM unnest(${wanted.join(', ')}) WITH ORDINALITY AS wanted (${columns.map((_, index) => `k${index}`).join(', ')}, place)
    JOIN (${query}) AS found ON ${equal.join(' AND ')}`;
}

/** A text of the other side may be no value of this side's type at all; then texts are compared. */
async function withText<Answer>(look: (asText: boolean) => Promise<Answer>): Promise<Answer> {
  try {
    return await look(false);
  } catch (error) {
    const state = codeOf(error);
    if (!state.startsWith('22')) throw error;
    return look(true);
  }
}

function sameKeys(columns: readonly ComparedKeyColumn[]): string {
  const names = ['a', 'b'].map((side) => columns.map((_, index) => `${side}${index}`));
  const arrays = names.flat().map((_, index) => `$${index + 1}::text[]`);
  const equal = columns.map(
    ({ base, collate }, index) => `a${index}::${base}${collate} = b${index}::${base}`,
  );
  return `SELECT ${equal.join(' AND ')} AS same
    FROM unnest(${arrays.join(', ')}) WITH ORDINALITY AS pair (${names.flat().join(', ')}, place) ORDER BY place`;
}
