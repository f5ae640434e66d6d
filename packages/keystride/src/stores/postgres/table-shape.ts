import type pg from 'pg';
import { quotedTable } from './key-columns.ts';
import { hidesRows } from './row-security.ts';

/**
 * What the rows of a table are besides what was written to it. A change of it lets rows come, or values change, without
 * a row version being written, so that nothing that looks at row versions can find it.
 */
export interface TableShape {
  /** The table, its partitions and children, by oid. */
  readonly members: Readonly<Record<string, TableMember>>;
  /** How each column is stored: a dropped one that was added again is another. */
  readonly columns: Readonly<Record<string, string>>;
  /** What the types of the columns call their values: labels of enums, attributes of composites. */
  readonly values: Readonly<Record<string, string>>;
  /** The policies by which row security hides rows from the role; null where it hides none. */
  readonly policies: string | null;
}

export interface TableMember {
  readonly name: string;
  /** How it belongs to the table; another text when it was taken out and put in again. */
  readonly joined: string;
  /** The file of its rows: a TRUNCATE makes another, and so does what rewrites the table. */
  readonly file: string | null;
  /** `pg_class.relkind` */
  readonly kind: string;
  /** Its access method; null where it has no rows of its own. */
  readonly method: string | null;
  readonly unlogged: boolean;
  /** Which rows a partition takes; null for any other table. */
  readonly bound: string | null;
}

/** Looks a table's shape up in the catalogue, as far as these columns go. Each query is short, however large it is. */
export async function shapeOf(pool: pg.Pool, table: string, columns: readonly string[]): Promise<TableShape> {
  const name = quotedTable(table);
  const [members, stored, values, policies] = [
    await pool.query<TableMember & { id: string }>(membersQuery, [name]),
    await pool.query<Named>(columnsQuery, [name, columns]),
    await pool.query<Named>(valuesQuery, [name, columns]),
    await pool.query<{ policies: string | null }>(policiesQuery, [name]),
  ];
  return {
    members: Object.fromEntries(members.rows.map(({ id, ...member }) => [id, member])),
    columns: byName(stored.rows),
    values: byName(values.rows),
    policies: policies.rows[0]?.policies ?? null,
  };
}

interface Named {
  readonly name: string;
  readonly value: string;
}

function byName(rows: readonly Named[]): Record<string, string> {
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}

/**
 * A table, its partitions and children, with the way from it to each. The number of the transaction that made it tells one
 * membership from the next.
 */
export const familyOf = `
  WITH RECURSIVE family (id, path) AS (
    SELECT to_regclass($1)::oid, ''
    UNION ALL
    SELECT inhrelid, path || inhparent || '@' || pg_inherits.xmin || ' '
      FROM pg_inherits JOIN family ON inhparent = id
     WHERE NOT coalesce((to_jsonb(pg_inherits) ->> 'inhdetachpending')::boolean, false)
  )`;

const membersQuery = `
  ${familyOf}
  SELECT id::text, nspname || '.' || relname AS name, joined, pg_relation_filenode(id)::text AS file,
         relkind::text AS kind, amname AS method, relpersistence = 'u' AS unlogged,
         pg_get_expr(relpartbound, id) AS bound
    FROM (SELECT id, string_agg(path, '+' ORDER BY path) AS joined FROM family GROUP BY id) AS member
    JOIN pg_class ON pg_class.oid = id
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    LEFT JOIN pg_am ON pg_am.oid = relam
   ORDER BY id`;

const columnsQuery = `
  SELECT attname AS name,
         concat_ws(' ', attnum, format_type(atttypid, atttypmod), nullif(attgenerated::text, ''),
                   CASE WHEN attgenerated <> '' THEN md5(pg_get_expr(adbin, adrelid)) END) AS value
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
   WHERE attrelid = to_regclass($1) AND attname = ANY ($2::text[]) AND attnum > 0 AND NOT attisdropped`;

const valuesQuery = `
  WITH RECURSIVE used (id) AS (
    SELECT atttypid FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attname = ANY ($2::text[]) AND NOT attisdropped
    UNION
    SELECT part
      FROM used JOIN pg_type ON pg_type.oid = used.id,
           LATERAL (SELECT typelem WHERE typelem <> 0
                    UNION ALL SELECT typbasetype WHERE typbasetype <> 0
                    UNION ALL SELECT rngsubtype FROM pg_range WHERE rngtypid = pg_type.oid
                    UNION ALL SELECT atttypid FROM pg_attribute
                               WHERE attrelid = typrelid AND attnum > 0 AND NOT attisdropped) AS within (part)
  )
  SELECT 'label ' || pg_enum.oid AS name, enumlabel::text AS value FROM used JOIN pg_enum ON enumtypid = id
  UNION ALL
  SELECT 'attribute ' || attrelid || '.' || attnum, format_type(atttypid, atttypmod)
    FROM used JOIN pg_type ON pg_type.oid = id AND typtype = 'c'
    JOIN pg_attribute ON attrelid = typrelid AND attnum > 0 AND NOT attisdropped`;

const policiesQuery = `
  SELECT CASE WHEN ${hidesRows('to_regclass($1)::oid', 'SELECT')} THEN md5(concat_ws(' ', current_user, (
           SELECT string_agg(concat_ws(' ', pg_policy.oid, pg_policy.xmin, pg_get_expr(polqual, polrelid)), ';' ORDER BY pg_policy.oid)
             FROM pg_policy
            WHERE polrelid = to_regclass($1) AND polcmd IN ('*', 'r')
              AND EXISTS (SELECT FROM unnest(polroles) AS role
                           WHERE role = 0 OR pg_has_role(current_user, role, 'USAGE'))))) END AS policies`;

/** The first rows of a table that are asked how old they are. */
const looked = 10_000;

/**
 * Whether a table whose file is another than before may have lost its rows: whether none of those that are there, of
 * the first ten thousand, was written before a transaction. A TRUNCATE leaves none; VACUUM FULL and CLUSTER keep them.
 * It is said to be so of a table that the role may not read.
 *
 * @param since the text of an `xid8` of its database.
 */
export async function mayHaveBeenEmptied(pool: pg.Pool, oid: string, since: string): Promise<boolean> {
  const { rows: names } = await pool.query<{ name: string }>(
    `SELECT format('%I.%I', nspname, relname) AS name
       FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
      WHERE pg_class.oid = $1::oid AND relkind = 'r' AND has_table_privilege(pg_class.oid, 'SELECT')`,
    [oid],
  );
  const name = names[0]?.name;
  if (name === undefined) return true;
  const { rows } = await pool.query<{ old: boolean | null }>(
    `SELECT bool_or(age(written) > age($1::text::xid)) AS old
       FROM (SELECT xmin AS written FROM ONLY ${name} LIMIT ${looked}) AS row`,
    [String(BigInt.asUintN(32, BigInt(since)))],
  );
  return rows[0]?.old !== true;
}
