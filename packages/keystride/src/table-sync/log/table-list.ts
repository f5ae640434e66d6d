import pg from 'pg';
import { quotedTable } from '../../stores/postgres/key-columns.ts';
import { tableParts } from '../../stores/postgres/sql.ts';
import { invalid } from '../tables.ts';

interface Databases {
  readonly source: pg.Pool;
  readonly database: pg.Pool;
}

/**
 * The tables that a list names, `schema.*` for all of a schema, those first that others of the sink refer to.
 *
 * @throws JobParametersInvalid for a schema without tables, and for tables that refer to each other in a circle.
 */
export async function tablesNamed(
  { source, database }: Databases,
  list: readonly string[],
): Promise<string[]> {
  const names = new Set<string>();
  for (const one of list)
    if (!one.endsWith('.*')) names.add(one);
    else for (const name of await tablesOf(source, one)) names.add(name);
  return parentsFirst([...names], await referencesAmong(database, [...names]));
}

async function tablesOf(source: pg.Pool, pattern: string): Promise<string[]> {
  const [schema = ''] = tableParts(pattern);
  const { rows } = await source.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
      WHERE relnamespace = to_regnamespace($1) AND relkind = 'r' AND NOT relispartition ORDER BY relname`,
    [pg.escapeIdentifier(schema)],
  );
  if (rows.length === 0) throw invalid(`the source has no table in schema ${schema}`);
  const part = (name: string) => (/^[^."*]+$/u.test(name) ? name : pg.escapeIdentifier(name));
  return rows.map(({ name }) => `${part(schema)}.${part(name)}`);
}

interface Reference {
  /** Places in the list. */
  readonly child: number;
  readonly parent: number;
}

async function referencesAmong(database: pg.Pool, names: readonly string[]): Promise<readonly Reference[]> {
  const { rows } = await database.query<Reference>(
    `WITH listed AS (SELECT to_regclass(name)::oid AS id, place::int - 1 AS place
                       FROM unnest($1::text[]) WITH ORDINALITY AS one (name, place))
     SELECT DISTINCT child.place AS child, parent.place AS parent
       FROM pg_constraint JOIN listed AS child ON child.id = conrelid JOIN listed AS parent ON parent.id = confrelid
      WHERE contype = 'f' AND conrelid <> confrelid`,
    [names.map(quotedTable)],
  );
  return rows;
}

function parentsFirst(names: readonly string[], references: readonly Reference[]): string[] {
  const sorted: number[] = [];
  const left = new Set(names.keys());
  while (left.size > 0) {
    const free = [...left].filter(
      (place) => !references.some(({ child, parent }) => child === place && left.has(parent)),
    );
    if (free.length === 0) {
      const circle = [...left].map((place) => names[place]).join(', ');
      throw invalid(
        `tables of the sink refer to each other in a circle: ${circle}. Follow them by a stream each`,
      );
    }
    for (const place of free) {
      sorted.push(place);
      left.delete(place);
    }
  }
  return sorted.map((place) => names[place] ?? '');
}
