import type pg from 'pg';
import { quotedTable } from './key-columns.ts';

/** What a role does with rows that are there. */
export type RowCommand = keyof typeof commands;

const commands = { SELECT: 'r', UPDATE: 'w', DELETE: 'd' } as const;

/**
 * Whether row security may keep rows of a table from this command of the role, as SQL: it does unless one of its policies
 * lets all rows through and none takes any away.
 *
 * @param table its oid, as SQL.
 */
export function hidesRows(table: string, command: RowCommand): string {
  const policy = `FROM pg_policy
           WHERE polrelid = ${table} AND polcmd IN ('*', '${commands[command]}')
             AND EXISTS (SELECT FROM unnest(polroles) AS role
                          WHERE role = 0 OR pg_has_role(current_user, role, 'USAGE'))
             AND pg_get_expr(polqual, polrelid)`;
  return `(row_security_active(${table})
     AND (NOT EXISTS (SELECT ${policy} = 'true' AND polpermissive)
       OR EXISTS (SELECT ${policy} <> 'true' AND NOT polpermissive)))`;
}

/**
 * Whether row security decides which rows of a table the role sees. PostgreSQL says nothing of those that it hides: they
 * look as if they were not there.
 */
export async function mayHideRows(
  pool: pg.Pool,
  table: string,
  command: RowCommand = 'SELECT',
): Promise<boolean> {
  const { rows } = await pool.query<{ hides: boolean | null }>(
    `SELECT ${hidesRows('to_regclass($1)::oid', command)} AS hides`,
    [quotedTable(table)],
  );
  return rows[0]?.hides === true;
}
