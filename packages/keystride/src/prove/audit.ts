import type pg from 'pg';

/** Where every committed write to a table of `public` is noted. */
export const writesTable = 'keystride_prove.written';

/**
 * Has every write to a table of `public` noted in the transaction that makes it. An upsert that is done twice leaves the
 * same rows as one that is done once; here it shows.
 */
export async function noteWrites(client: pg.Client): Promise<void> {
  await client.query(`
    CREATE SCHEMA keystride_prove;
    CREATE TABLE ${writesTable} (relation text NOT NULL, operation text NOT NULL, content jsonb NOT NULL);
    CREATE FUNCTION keystride_prove.note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO ${writesTable}
      VALUES (TG_TABLE_NAME, TG_OP, CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END);
      RETURN NULL;
    END $$`);
  for (const table of await publicTables(client))
    await client.query(
      `CREATE TRIGGER keystride_prove AFTER INSERT OR UPDATE OR DELETE ON public.${client.escapeIdentifier(table)}
         FOR EACH ROW EXECUTE FUNCTION keystride_prove.note()`,
    );
}

/** The tables of `public`; of a partitioned one the whole, not its partitions. */
export async function publicTables(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ relname: string }>(
    `SELECT relname FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
      ORDER BY relname`,
  );
  return rows.map(({ relname }) => relname);
}
