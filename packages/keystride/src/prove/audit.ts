import type pg from 'pg';

/** Where every committed write to an audited table is noted. */
export const writesTable = 'keystride_prove.written';

/**
 * Has every write to a table of the job's database noted in the transaction that makes it. An upsert that is done twice
 * leaves the same rows as one that is done once; here it shows.
 */
export async function noteWrites(client: pg.Client): Promise<void> {
  await client.query(`
    DROP SCHEMA IF EXISTS keystride_prove CASCADE;
    CREATE SCHEMA keystride_prove;
    CREATE TABLE ${writesTable} (relation text NOT NULL, operation text NOT NULL, content jsonb NOT NULL);
    CREATE FUNCTION keystride_prove.note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO ${writesTable}
      VALUES (TG_ARGV[0], TG_OP, CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END);
      RETURN NULL;
    END $$`);
  // A partition has the trigger of its table, and is called otherwise: the trigger says what the table is called.
  for (const table of await auditedTables(client))
    await client.query(
      `CREATE TRIGGER keystride_prove AFTER INSERT OR UPDATE OR DELETE ON ${table}
         FOR EACH ROW EXECUTE FUNCTION keystride_prove.note(${client.escapeLiteral(table)})`,
    );
}

/**
 * The tables that a run may write to, as SQL takes them, each with its schema: those of all schemas but keystride's and
 * the system's, for which the role has a right to write. Of a partitioned one the whole, not its partitions.
 */
export async function auditedTables(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', nspname, relname) AS name
       FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
      WHERE relkind IN ('r', 'p') AND NOT relispartition AND relpersistence <> 't'
        AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'keystride', 'keystride_prove')
        AND NOT EXISTS (SELECT FROM pg_depend
                         WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
        AND has_schema_privilege(pg_namespace.oid, 'USAGE')
        AND has_table_privilege(pg_class.oid, 'INSERT, UPDATE, DELETE')
      ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}
