import type pg from 'pg';
import { quotedTable } from '../stores/postgres/key-columns.ts';
import { mayHideRows, type RowCommand } from '../stores/postgres/row-security.ts';
import { invalid } from './tables.ts';

interface Place {
  readonly pool: pg.Pool;
  readonly table: string;
}

interface Relation {
  readonly schema: string;
  readonly kind: string;
  readonly temporary: boolean;
  /** The server and the database. */
  readonly database: string;
  /** The table, and what is below it. */
  readonly members: readonly string[];
}

const relation = `
  WITH RECURSIVE family (id) AS (
    SELECT to_regclass($1)::oid
    UNION
    SELECT inhrelid FROM pg_inherits JOIN family ON inhparent = id)
  SELECT nspname AS schema, relkind::text AS kind, relpersistence = 't' AS temporary,
         concat_ws('/', system_identifier, pg_database.oid) AS database, array(SELECT id::text FROM family) AS members
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace, pg_control_system(), pg_database
   WHERE pg_class.oid = to_regclass($1) AND datname = current_database()`;

async function look({ pool, table }: Place): Promise<Relation | undefined> {
  return (await pool.query<Relation>(relation, [quotedTable(table)])).rows[0];
}

const kinds: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  S: 'a sequence',
  i: 'an index',
  I: 'an index',
  c: 'a type',
};

/**
 * Refuses what a sync can have for a source or for a sink by no means.
 *
 * @throws JobParametersInvalid for what is no table; for the catalogue, the ledger, and tables of a single session; and
 * for a table that would be copied to itself, or to a part of itself.
 */
export async function refuseUnsyncable(source: Place, sink: Place): Promise<void> {
  const [from, to] = await Promise.all([look(source), look(sink)]);
  refuse('source', source.table, from);
  refuse('sink', sink.table, to);
  if (!from || !to || from.database !== to.database) return;
  if (from.members.some((member) => to.members.includes(member)))
    throw invalid(
      `the sink ${sink.table} is the source ${source.table}, or a part of it, in the same database: ` +
        'look at SOURCE_DATABASE_URL and DATABASE_URL, or name another sink',
    );
}

function refuse(side: 'source' | 'sink', table: string, found: Relation | undefined): void {
  // Where there is none, whoever looks up its columns says so.
  if (!found) return;
  const { schema, kind, temporary } = found;
  const what = kinds[kind];
  if (what !== undefined)
    throw invalid(
      `the ${side} ${table} is ${what}: a sync needs a table, whose rows have a unique key and tell when they were written`,
    );
  if (['pg_catalog', 'information_schema', 'pg_toast'].includes(schema))
    throw invalid(`the ${side} ${table} is of the catalogue (schema ${schema}), which is not copied`);
  if (schema === 'keystride')
    throw invalid(
      `the ${side} ${table} is of the ledger (schema keystride), which only keystride works with`,
    );
  if (temporary) throw invalid(`the ${side} ${table} is a temporary table, which other sessions do not have`);
}

/**
 * Refuses a sink that writes something else than it is given, or does not show what it has: nobody would know what is in it.
 *
 * @throws JobParametersInvalid with the statement that mends it.
 */
export async function refuseUnfitSink(sink: Place): Promise<void> {
  const { rows } = await sink.pool.query<{ rule: string }>(
    `SELECT quote_ident(rulename) AS rule FROM pg_rewrite
      WHERE ev_class = to_regclass($1) AND ev_type <> '1' AND ev_enabled <> 'D' LIMIT 1`,
    [quotedTable(sink.table)],
  );
  if (rows[0])
    throw invalid(
      `the sink ${sink.table} has the rule ${rows[0].rule}, which stands in for what is written: ` +
        `DROP RULE ${rows[0].rule} ON ${quotedTable(sink.table)}`,
    );
  await refuseHiddenRows(sink, ['SELECT']);
}

/** @throws JobParametersInvalid where row security may keep rows of the sink from one of these commands of the role */
export async function refuseHiddenRows(
  { pool, table }: Place,
  commands: readonly RowCommand[],
): Promise<void> {
  for (const command of commands)
    if (await mayHideRows(pool, table, command))
      throw invalid(
        `row security may hide rows of the sink ${table} from the role (${command}), and PostgreSQL says nothing of those ` +
          `that it hides: ALTER ROLE … BYPASSRLS, or CREATE POLICY … ON ${quotedTable(table)} FOR ${command} USING (true)`,
      );
}
