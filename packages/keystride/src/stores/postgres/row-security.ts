import type pg from 'pg';
import { quotedTable } from './key-columns.ts';

/**
 * Whether row security decides which rows of a table the role sees. PostgreSQL says nothing of those that it hides: they
 * look as if they were not there.
 */
export async function mayHideRows(pool: pg.Pool, table: string): Promise<boolean> {
  const { rows } = await pool.query<{ active: boolean }>(
    'SELECT row_security_active(to_regclass($1)::oid) AS active',
    [quotedTable(table)],
  );
  return rows[0]?.active === true;
}
