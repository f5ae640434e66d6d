import { sql } from 'kysely';
import { ToldError } from '../contract/errors.ts';
import { hidesRows } from '../stores/postgres/row-security.ts';
import type { Asked, Ledger } from './ledger.ts';
import { ledgerSql } from './schema.ts';

/** What the role of a connection may do. */
export interface RoleRights {
  readonly role: string;
  /** Rights on tables of the ledger that it lacks, as `SELECT on checkpoint`. */
  readonly missing: readonly string[];
  /** Whether it may make and change the ledger. */
  readonly mayMigrate: boolean;
}

/** What a worker's role needs to be able to do with the ledger, and what of it this one lacks. */
export async function rightsOn(ledger: Ledger): Promise<RoleRights> {
  return ledger.transaction(async (transaction) => {
    const { rows } = await transaction.query<RoleRights>(
      `SELECT current_user AS role,
              ARRAY(SELECT format('%s on %s', wanted, relname)
                      FROM pg_class CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wanted
                     WHERE relnamespace = to_regnamespace('keystride') AND relkind IN ('r', 'p')
                       AND relname <> 'schema_migration'
                       AND NOT (has_schema_privilege(relnamespace, 'USAGE') AND has_table_privilege(pg_class.oid, wanted))
                     ORDER BY relname, wanted) AS missing,
              has_database_privilege(current_database(), 'CREATE')
                AND coalesce(pg_has_role(nspowner, 'USAGE'), true) AS "mayMigrate"
         FROM (SELECT to_regnamespace('keystride') AS schema) AS wanted
         LEFT JOIN pg_namespace ON pg_namespace.oid = schema`,
    );
    const [rights] = rows;
    if (!rights) throw new Error('a SELECT without a table answered no row');
    return rights;
  });
}

/** Rows of the ledger that row security may keep from the role are not there for it: books would balance without them. */
export class HiddenLedger extends ToldError {
  override readonly name = 'HiddenLedger';
}

/** Tables of the ledger of which row security may hide rows from the role, as text; null for none. */
export async function hiddenTables(ledger: Asked): Promise<string | null> {
  const hides = (['SELECT', 'UPDATE', 'DELETE'] as const).map((command) =>
    hidesRows('pg_class.oid', command),
  );
  const hidden = sql<string | null>`(
    SELECT string_agg(relname::text, ', ' ORDER BY relname) FROM pg_class
     WHERE relnamespace = to_regnamespace('keystride') AND relrowsecurity AND (${sql.raw(hides.join(' OR '))}))`;
  const [row] = await ledger.run(ledgerSql.selectNoFrom(hidden.as('hidden')));
  return row?.hidden ?? null;
}

/** What shows all rows of the ledger to the role again. */
export const showLedger =
  'ALTER ROLE … BYPASSRLS, or ALTER TABLE keystride.… DISABLE ROW LEVEL SECURITY for each';

/** @throws HiddenLedger where the role may not see, or change, all that the ledger has. */
export async function requireShown(ledger: Asked): Promise<void> {
  const hidden = await hiddenTables(ledger);
  if (hidden !== null)
    throw new HiddenLedger(
      `row security may hide rows of the ledger from the role, in ${hidden}: ${showLedger}`,
    );
}

/** How long the longest instance has taken, over all its executions, in seconds; null where there is none. */
export async function longestInstance(
  ledger: Asked,
): Promise<{ readonly instance: string; readonly seconds: number } | null> {
  const took = sql<number>`extract(epoch from coalesce(closed_at, now()) - opened_at)::float8`;
  const [longest] = await ledger.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select(['instance_key as instance', took.as('seconds')])
      .orderBy('seconds', 'desc')
      .limit(1),
  );
  return longest ?? null;
}

/** The parameters of the instance of a job that was opened last. */
export async function lastParameters(
  ledger: Asked,
  job: string,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const [last] = await ledger.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select('params')
      .where('job', '=', job)
      .where('redrives', 'is', null)
      .orderBy('opened_at', 'desc')
      .limit(1),
  );
  return last?.params as Readonly<Record<string, unknown>> | undefined;
}
