import type pg from 'pg';
import { failure } from '../contract/errors.ts';
import { quotedTable } from '../stores/postgres/key-columns.ts';
import { familyOf } from '../stores/postgres/table-shape.ts';

/** A column as the catalogue has it. */
export interface TableColumn {
  readonly name: string;
  /** Without a length. */
  readonly type: string;
  /** With its length, scale and whatever else was declared. */
  readonly declared: string;
  /** What rows have in it that were there before it was, as a text. */
  readonly missing: string | null;
  readonly generated: boolean;
  readonly identityAlways: boolean;
}

/** A table as the catalogue has it. */
export interface TableDescription {
  readonly table: string;
  /** Another one when it was dropped and made anew. */
  readonly oid: string;
  readonly columns: readonly TableColumn[];
  /** The columns of each unique index over whole columns of all rows, the primary key first. */
  readonly uniqueKeys: readonly (readonly string[])[];
  /** The unique indexes that cannot serve as a key. */
  readonly flawedKeys: readonly UniqueIndex[];
  /** Whether a trigger, of it or of a partition, has rows in hand when they are written. */
  readonly changesRows: boolean;
}

/**
 * Looks a table up.
 *
 * @param where what people call its database.
 * @throws JobParametersInvalid when there is no such table.
 */
export async function describeTable(
  pool: pg.Pool,
  table: string,
  where: 'source' | 'sink',
): Promise<TableDescription> {
  const name = quotedTable(table);
  const { rows: columns } = await pool.query<TableColumn & { oid: string }>(
    `SELECT attrelid::text AS oid, attname AS name, format_type(atttypid, -1) AS type,
            format_type(atttypid, atttypmod) AS declared, attgenerated <> '' AS generated,
            (attmissingval::text::text[])[1] AS missing, attidentity = 'a' AS "identityAlways"
       FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
      WHERE attrelid = to_regclass($1) AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
      ORDER BY attnum`,
    [name],
  );
  const [first] = columns;
  if (!first) throw invalid(`the ${where} has no table ${table}, or the role may not see its schema`);
  const { rows: indexes } = await pool.query<UniqueIndex>(uniqueIndexes, [name]);
  const { rowCount: triggers } = await pool.query(triggersOfWrites, [name]);
  return {
    table,
    oid: first.oid,
    columns,
    changesRows: triggers !== 0,
    uniqueKeys: indexes.flatMap(({ columns: key, flaw }) => (flaw === null ? [key] : [])),
    flawedKeys: indexes.filter(({ flaw }) => flaw !== null),
  };
}

interface UniqueIndex {
  readonly name: string;
  readonly columns: readonly string[];
  /** Why it does not tell every row from every other at any moment; null when it does. */
  readonly flaw: string | null;
}

const uniqueIndexes = `
  SELECT indexrelid::regclass::text AS name,
         array(SELECT attname::text
                 FROM unnest(indkey::int2[]) WITH ORDINALITY AS part (attnum, place)
                 JOIN pg_attribute ON attrelid = indrelid AND pg_attribute.attnum = part.attnum
                WHERE place <= indnkeyatts
                ORDER BY place) AS columns,
         CASE WHEN NOT indisvalid OR NOT indisready THEN 'is not valid: REINDEX it, or make it again'
              WHEN indpred IS NOT NULL THEN 'holds for some of the rows only (it has a WHERE)'
              WHEN indexprs IS NOT NULL THEN 'is on an expression'
              WHEN NOT indimmediate THEN 'is deferrable: two rows may have one key until a transaction ends'
              WHEN indisexclusion THEN 'excludes overlaps instead of equal keys'
              WHEN EXISTS (SELECT FROM unnest(indkey::int2[], indcollation::oid[]) AS part (attnum, coll)
                             JOIN pg_attribute ON attrelid = indrelid AND pg_attribute.attnum = part.attnum
                             JOIN pg_collation ON pg_collation.oid = attcollation
                            WHERE coll <> attcollation AND NOT collisdeterministic)
              THEN 'is of another collation than its column, which takes different texts for one: make it of that'
              WHEN relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = indrelid)
              THEN 'does not hold over the tables that inherit from this one: make them partitions, or copy each by itself'
          END AS flaw
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
   WHERE indrelid = to_regclass($1) AND (indisunique OR indisexclusion)
   ORDER BY indisprimary DESC, indexrelid`;

/** Of an insert or an update. One that comes after it may remove what is there. */
const triggersOfWrites = `
  ${familyOf}
  SELECT FROM pg_trigger JOIN family ON tgrelid = id
   WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 20 <> 0
   LIMIT 1`;

/** @throws JobParametersInvalid when the table has no such column. */
export function columnOf({ table, columns }: TableDescription, name: string): TableColumn {
  const found = columns.find((column) => column.name === name);
  if (found) return found;
  const known = columns.map((column) => column.name).join(', ');
  throw invalid(`table ${table} has no column ${name}; it has: ${known}`);
}

/** @throws JobParametersInvalid unless these columns are a unique key of the table. */
export function requireUnique(
  { table, uniqueKeys, flawedKeys }: TableDescription,
  key: readonly string[],
): void {
  const same = (other: readonly string[]) =>
    other.length === key.length && other.every((name) => key.includes(name));
  if (uniqueKeys.some(same)) return;
  const flawed = flawedKeys.find(({ columns }) => same(columns));
  const why = flawed ? `its index ${flawed.name} ${flawed.flaw}` : 'make a unique index on it';
  throw invalid(`(${key.join(', ')}) is no unique key of table ${table}; ${why}`);
}

/** What a refusal ends with, where a run has only begun. */
export const nothingWritten = '. Nothing was written.';

/** A parameter that the databases contradict. */
export function invalid(message: string) {
  return failure('JobParametersInvalid', `${message}${nothingWritten}`);
}
