import pg from 'pg';
import type { KeyColumn } from './key-columns.ts';

/** The order of texts by their bytes, which no system and no version of a library changes. */
const byBytes: readonly string[] = ['pg_catalog."C"', 'pg_catalog."POSIX"', 'pg_catalog.ucs_basic'];

/** Types whose values are in one order, and of which a cursor of one is a value of the others. */
const alike: Readonly<Record<string, string>> = {
  ...{ smallint: 'number', integer: 'number', bigint: 'number', numeric: 'number' },
  'character varying': 'text',
};

/**
 * What the order of a key depends on, for people and to be compared: the types of its columns, and for texts the collation
 * with the version of the library that sorts them. The same table has another order on a standby, or after an upgrade, whose
 * system brings another version of that library. Ledgers keep these words: other words are another order.
 */
export async function keyOrder(pool: pg.Pool, columns: readonly KeyColumn[]): Promise<string> {
  const words: string[] = [];
  for (const { name, typeName, collation } of columns) {
    const bare = typeName.replaceAll(/\([^()]*\)/gu, '');
    const type = `${name} ${alike[bare] ?? bare}`;
    words.push(collation === null ? type : `${type} COLLATE ${await collationOf(pool, collation)}`);
  }
  return words.join(', ');
}

/** @param name as SQL. */
async function collationOf(pool: pg.Pool, name: string): Promise<string> {
  if (byBytes.includes(name)) return name;
  if (name === 'pg_catalog."default"') {
    const { locale, version } = await defaultOf(pool);
    return told(`${name} (${locale})`, version);
  }
  const { rows } = await pool.query<{ version: string | null }>(
    'SELECT pg_collation_actual_version($1::regcollation) AS version',
    [name],
  );
  return told(name, rows[0]?.version ?? null);
}

async function defaultOf(
  pool: pg.Pool,
): Promise<{ readonly locale: string; readonly version: string | null }> {
  const locale = 'SELECT datcollate AS locale';
  const from = 'FROM pg_database WHERE datname = current_database()';
  const ask = async (text: string) => {
    const { rows } = await pool.query<{ locale: string; version: string | null }>(text);
    return rows[0] ?? { locale: '', version: null };
  };
  try {
    return await ask(`${locale}, pg_database_collation_actual_version(oid) AS version ${from}`);
  } catch (error) {
    // PostgreSQL 14 does not know the version of its database's own collation.
    if (error instanceof pg.DatabaseError && error.code === '42883')
      return ask(`${locale}, NULL AS version ${from}`);
    throw error;
  }
}

function told(name: string, version: string | null): string {
  return version === null ? name : `${name} version ${version}`;
}
