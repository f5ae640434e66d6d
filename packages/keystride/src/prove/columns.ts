import type pg from 'pg';
import { auditedTables } from './audit.ts';
import { withClient } from './copies.ts';

/** For each audited table, by its name with its schema, the columns that differ from run to run though both are right. */
export type IgnoredColumns = ReadonlyMap<string, readonly string[]>;

/**
 * Finds the columns that say when, and not what, a run has written:
 * - a time that the run without faults set to a moment of its own (`updated_at`; an `uploaded_at` that was copied is
 *   compared),
 * - a number that a sequence handed out, since those that a rolled back transaction took are not given again, and what
 *   a foreign key makes refer to such a number.
 *
 * @param since when the run without faults began, by the clock of the database.
 */
export function ignoredColumns(databaseUrl: string, since: Date): Promise<IgnoredColumns> {
  return withClient(databaseUrl, async (client) => {
    const ignored = new Map<string, readonly string[]>();
    for (const table of await auditedTables(client))
      ignored.set(table, [
        ...(await numberedColumns(client, table)),
        ...(await clockColumns(client, table, since)),
      ]);
    return ignored;
  });
}

async function numberedColumns(client: pg.Client, table: string): Promise<string[]> {
  const { rows } = await client.query<{ attname: string }>(
    `WITH numbered AS (
       SELECT attrelid, attnum, attname FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid
          AND d.adnum = a.attnum
        WHERE attnum > 0 AND (attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%'))
     SELECT attname FROM numbered WHERE attrelid = $1::regclass
     UNION
     SELECT a.attname FROM pg_constraint AS c
       CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS pair (own, other)
       JOIN numbered AS n ON n.attrelid = c.confrelid AND n.attnum = pair.other
       JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = pair.own
      WHERE c.contype = 'f' AND c.conrelid = $1::regclass`,
    [table],
  );
  return rows.map(({ attname }) => attname);
}

async function clockColumns(client: pg.Client, table: string, since: Date): Promise<string[]> {
  const { rows } = await client.query<{ attname: string }>(
    `SELECT attname FROM pg_attribute
      WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
        AND atttypid IN ('timestamp'::regtype, 'timestamptz'::regtype)`,
    [table],
  );
  const found: string[] = [];
  for (const { attname } of rows) {
    const column = client.escapeIdentifier(attname);
    const set = await client.query(`SELECT FROM ${table} WHERE ${column}::timestamptz >= $1 LIMIT 1`, [
      since,
    ]);
    if (set.rowCount === 1) found.push(attname);
  }
  return found;
}
