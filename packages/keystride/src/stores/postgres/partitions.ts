import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import { presentTransaction } from './horizon.ts';
import { quotedTable } from './key-columns.ts';
import { familyOf, mayHaveBeenEmptied } from './table-shape.ts';

/** The partitions of a table as they were at a look. A log that tells of the table tells nothing of their coming and going. */
export interface Partitions {
  /** By their oids. */
  readonly members: Readonly<Record<string, Partition>>;
  /** What an earlier transaction wrote was there when they were first seen like this. */
  readonly since: string;
}

interface Partition {
  readonly name: string;
  /** How it belongs to the table: another text when it was taken out and put in again. */
  readonly joined: string;
  /** The file of its rows; null where it is divided itself. */
  readonly file: string | null;
  /** By what its log says which row was changed. */
  readonly identity: string;
  /** Whether that is no less than what its table says. */
  readonly identified: boolean;
}

const partitionsQuery = `
  ${familyOf}
  SELECT id::text, path AS joined, format('%I.%I', nspname, relname) AS name, pg_relation_filenode(id)::text AS file,
         concat_ws(' ', relreplident, (SELECT string_agg(indkey::text, ',') FROM pg_index
                                        WHERE indrelid = id AND indisreplident)) AS identity,
         relkind = 'p' OR relreplident = 'f'
           OR relreplident = 'd' AND (SELECT relreplident FROM pg_class WHERE oid = to_regclass($1)) = 'd' AS identified
    FROM family JOIN pg_class ON pg_class.oid = id JOIN pg_namespace ON pg_namespace.oid = relnamespace
   WHERE path <> '' ORDER BY id`;

/** Looks at the partitions of a table; null for one that is not divided. */
export async function partitionsOf(pool: pg.Pool, table: string): Promise<Partitions | null> {
  const name = quotedTable(table);
  const { rows: divided } = await pool.query(
    `SELECT FROM pg_class WHERE oid = to_regclass($1) AND relkind = 'p'`,
    [name],
  );
  if (divided.length === 0) return null;
  // Before the files: what is emptied in between has another one, and is seen.
  const since = await presentTransaction(pool);
  const { rows } = await pool.query<Partition & { id: string }>(partitionsQuery, [name]);
  return { since, members: Object.fromEntries(rows.map(({ id, ...partition }) => [id, partition])) };
}

/** Ages of transactions are compared up to twice as far. */
const farthestBack = 2n ** 30n;

/** What is to be remembered after a look: nothing new where nothing has changed for as long as that can be told. */
export function remembered(before: Partitions | undefined, now: Partitions): Partitions {
  const isNear = before && BigInt(now.since) - BigInt(before.since) < farthestBack;
  return isNear && isDeepStrictEqual(before.members, now.members) ? before : now;
}

/** Whether some partition that there was and is has its rows in another file. */
export function areInOtherFiles(before: Partitions, now: Partitions): boolean {
  return Object.entries(now.members).some(([id, { file }]) => {
    const was = before.members[id];
    return was !== undefined && was.file !== file;
  });
}

/**
 * What has become of rows, and stands in no log of the table that they are of, in words; null for nothing. A partition that
 * was made empty, or attached empty, is none of it: what is written to it is in the log.
 */
export async function partitionsProblem(
  pool: pg.Pool,
  before: Partitions,
  now: Partitions,
): Promise<string | null> {
  for (const [id, was] of Object.entries(before.members)) {
    const is = now.members[id];
    if (!is) return `partition ${was.name} was detached or dropped`;
    if (is.joined !== was.joined) return `partition ${was.name} was detached and attached again`;
    if (is.identity !== was.identity) return `partition ${was.name} has another replica identity`;
    if (is.file !== was.file && (await mayHaveBeenEmptied(pool, id, before.since)))
      return `partition ${was.name} was truncated, or written anew`;
  }
  for (const [id, { name, joined, identified }] of Object.entries(now.members)) {
    if (before.members[id]) continue;
    if (!identified) return `partition ${name} has another replica identity than its table`;
    const found = await mayHaveComeAlong(pool, id, joined);
    if (found !== null) return `partition ${name} was attached, ${found}`;
  }
  return null;
}

/**
 * Whether a partition has rows that it had when it was attached. Where it was made by another transaction than it was attached
 * by, somebody may have written in between, and which rows these are nobody can tell.
 */
async function mayHaveComeAlong(pool: pg.Pool, id: string, joined: string): Promise<string | null> {
  const { rows: found } = await pool.query<{ name: string; kind: string; readable: boolean; made: string }>(
    `SELECT format('%I.%I', nspname, relname) AS name, relkind::text AS kind,
            has_table_privilege(pg_class.oid, 'SELECT') AS readable,
            (SELECT xmin::text FROM pg_attribute WHERE attrelid = pg_class.oid AND attnum = -1) AS made
       FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = $1::oid`,
    [id],
  );
  const [{ name, kind, readable, made } = { name: '', kind: '', readable: false, made: '' }] = found;
  if (kind === 'p') return null;
  if (kind !== 'r') return 'which has no log of its own';
  if (!readable) return `and the role may not see whether it had rows: GRANT SELECT ON ${name}`;
  const { rows } = await pool.query<{ any: boolean }>(
    `WITH joined AS (SELECT min(age(link::xid)) AS age, bool_and(age(link::xid) >= age($2::xid)) AS whole
                       FROM unnest($1::text[]) AS link)
     SELECT EXISTS (SELECT FROM ONLY ${name} AS row WHERE NOT whole OR age(row.xmin) >= joined.age) AS any FROM joined`,
    [
      joined
        .trim()
        .split(' ')
        .map((link) => link.slice(link.indexOf('@') + 1)),
      made,
    ],
  );
  return rows[0]?.any ? 'with rows that the log does not have' : null;
}
