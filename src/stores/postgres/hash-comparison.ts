import type pg from 'pg';
import { type SelectQueryBuilder, sql } from 'kysely';
import { type Cursor, cursorOf, type KeyRange } from '../../contract/cursor.ts';
import type { ComparedPage, Comparison, Difference } from '../../contract/verification.ts';
import { inRange, keyAlias, type KeyColumn } from './key-columns.ts';
import { keysetRanges } from './keyset-ranges.ts';
import { describedOnce } from './keyset-reader.ts';

/** One side of a comparison. */
export interface ComparedRows<Database, Table extends keyof Database & string, Row> {
  readonly pool: pg.Pool;
  /**
   * What is compared: the same columns in the same order, of the same types, on both sides. Selected as text, they are
   * compared as the database writes them.
   */
  readonly query: SelectQueryBuilder<Database, Table, Row>;
  readonly table: Table;
  /** A unique, not nullable key in the order of an index; of the same types and collations on both sides. */
  readonly key: readonly (keyof Database[Table] & string)[];
}

interface ComparisonOptions {
  /**
   * What the target has and the source has not: told, or ignored where the target keeps what has left the source. A
   * range with such rows is always compared row by row. @default 'told'
   */
  readonly extra?: 'told' | 'ignored';
}

/** A side whose types are known to itself alone. */
interface Side {
  digest(range: KeyRange): Promise<Digest>;
  /** The hash of each row, by its key. */
  hashes(range: KeyRange): Promise<ReadonlyMap<string, Hashed>>;
  /** The key that so many rows of the range end with; null when it has fewer. */
  cut(range: KeyRange, rows: number): Promise<Cursor | null>;
}

interface Digest {
  readonly rows: number;
  readonly hash: string;
}

interface Hashed {
  readonly key: Cursor;
  readonly hash: string;
}

/** A range that differs is cut into so many parts, until it is small. */
const partsOfRange = 16;

/** A range of so many rows or fewer is compared row by row: no more than their keys and hashes leave the databases. */
const comparedByRow = 100;

/**
 * Compares two tables by hashes that their databases make of key ranges. It descends only into ranges that differ, down
 * to the rows, and names the keys that are missing, extra or different.
 *
 * A page is the next `limit` rows of the source, and whatever the target has between their keys.
 */
export function hashComparison<
  SourceDatabase,
  SourceTable extends keyof SourceDatabase & string,
  SourceRow,
  TargetDatabase,
  TargetTable extends keyof TargetDatabase & string,
  TargetRow,
>(
  source: ComparedRows<SourceDatabase, SourceTable, SourceRow>,
  target: ComparedRows<TargetDatabase, TargetTable, TargetRow>,
  { extra = 'told' }: ComparisonOptions = {},
): Comparison {
  const comparison = new HashComparison(sideOf(source), sideOf(target), extra);
  return { comparePage: (position, limit) => comparison.page(position as Cursor | null, limit) };
}

class HashComparison {
  readonly #source: Side;
  readonly #target: Side;
  readonly #extra: 'told' | 'ignored';

  constructor(source: Side, target: Side, extra: 'told' | 'ignored') {
    this.#source = source;
    this.#target = target;
    this.#extra = extra;
  }

  async page(lower: Cursor | null, limit: number): Promise<ComparedPage> {
    const upper = await this.#source.cut({ lower, upper: null }, limit);
    const { compared, differences } = await this.#compare({ lower, upper });
    return { position: upper, compared, differences };
  }

  async #compare(range: KeyRange): Promise<{ compared: number; differences: readonly Difference[] }> {
    const [source, target] = await Promise.all([this.#source.digest(range), this.#target.digest(range)]);
    const compared = source.rows;
    if (source.rows === target.rows && source.hash === target.hash) return { compared, differences: [] };
    const [larger, rows] =
      source.rows > target.rows ? [this.#source, source.rows] : [this.#target, target.rows];
    if (rows <= comparedByRow) return { compared, differences: await this.#differentRows(range) };
    const differences: Difference[] = [];
    // The side that has more is cut, so that each round makes it smaller.
    for (const part of await partsOf(larger, range, Math.ceil(rows / partsOfRange)))
      differences.push(...(await this.#compare(part)).differences);
    return { compared, differences };
  }

  async #differentRows(range: KeyRange): Promise<Difference[]> {
    const [source, target] = await Promise.all([this.#source.hashes(range), this.#target.hashes(range)]);
    const differences: Difference[] = [];
    for (const [name, { key, hash }] of source) {
      const found = target.get(name);
      if (!found) differences.push({ told: `key ${name}: missing`, rerun: key });
      else if (found.hash !== hash) differences.push({ told: `key ${name}: different`, rerun: key });
    }
    if (this.#extra === 'ignored') return differences;
    for (const [name, { key }] of target)
      if (!source.has(name)) differences.push({ told: `key ${name}: extra`, remove: key });
    return differences;
  }
}

/** Cuts a range into parts of so many rows of a side. */
async function partsOf(side: Side, { lower, upper }: KeyRange, rows: number): Promise<KeyRange[]> {
  const parts: KeyRange[] = [];
  for (let from = lower; ;) {
    const end = await side.cut({ lower: from, upper }, rows);
    parts.push({ lower: from, upper: end ?? upper });
    if (end === null) return parts;
    from = end;
  }
}

function sideOf<Database, Table extends keyof Database & string, Row>(
  side: ComparedRows<Database, Table, Row>,
): Side {
  const keyColumns = describedOnce(side);
  const ranges = keysetRanges(side);
  return {
    digest: async (range) => digest(side, await keyColumns(), range),
    hashes: async (range) => hashes(side, await keyColumns(), range),
    cut: async (range, limit) => {
      const next = await ranges.next({ range, after: null, limit, signal: new AbortController().signal });
      return next && next.rows === limit ? next.upper : null;
    },
  };
}

/** Half of an MD5 as a number: these add up to the same whatever order rows come in. Sums need no sort. */
const rowHash = `('x' || left(md5(compared::text), 16))::bit(64)::bigint`;

async function digest<Database, Table extends keyof Database & string, Row>(
  { pool, query }: ComparedRows<Database, Table, Row>,
  columns: readonly KeyColumn[],
  range: KeyRange,
): Promise<Digest> {
  const compared = inRange(query, columns, range).compile();
  const { rows } = await pool.query<{ rows: number; hash: string }>(
    `SELECT count(*)::int AS rows, coalesce(sum(${rowHash}), 0)::text AS hash FROM (${compared.sql}) AS compared`,
    [...compared.parameters],
  );
  return rows[0] ?? { rows: 0, hash: '0' };
}

async function hashes<Database, Table extends keyof Database & string, Row>(
  { pool, query }: ComparedRows<Database, Table, Row>,
  columns: readonly KeyColumn[],
  range: KeyRange,
): Promise<ReadonlyMap<string, Hashed>> {
  const names = columns.map((_, index) => keyAlias(index));
  const { sql: text, parameters } = inRange(query, columns, range)
    .select(columns.map(({ reference }, index) => sql<string>`${reference}::text`.as(keyAlias(index))))
    .compile();
  const { rows } = await pool.query<{ key: string[]; hash: string }>(
    `SELECT array[${names.join(', ')}] AS key, (${rowHash})::text AS hash FROM (${text}) AS compared`,
    [...parameters],
  );
  return new Map(rows.map(({ key, hash }) => [key.join(','), { key: cursorOf(key), hash }]));
}
