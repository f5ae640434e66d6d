import pg from 'pg';
import { tableParts } from '../../stores/postgres/sql.ts';
import { invalid } from '../tables.ts';
import { parentsFirst } from './circles.ts';

interface Databases {
  readonly source: pg.Pool;
  readonly database: pg.Pool;
}

/**
 * The tables that a list names, `schema.*` for all of a schema, those first that others of the sink refer to.
 *
 * @throws JobParametersInvalid for a schema without tables, and for a circle of references that cannot be followed.
 */
export async function tablesNamed(
  { source, database }: Databases,
  list: readonly string[],
): Promise<string[]> {
  const names = new Set<string>();
  for (const one of list)
    if (!one.endsWith('.*')) names.add(one);
    else for (const name of await tablesOf(source, one)) names.add(name);
  return parentsFirst(database, [...names]);
}

async function tablesOf(source: pg.Pool, pattern: string): Promise<string[]> {
  const [schema = ''] = tableParts(pattern);
  const { rows } = await source.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
      WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname`,
    [pg.escapeIdentifier(schema)],
  );
  if (rows.length === 0) throw invalid(`the source has no table in schema ${schema}`);
  const part = (name: string) => (/^[^."*]+$/u.test(name) ? name : pg.escapeIdentifier(name));
  return rows.map(({ name }) => `${part(schema)}.${part(name)}`);
}
