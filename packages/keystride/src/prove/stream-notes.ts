import type pg from 'pg';
import { auditedTables } from './audit.ts';

/**
 * Has every change of a row noted, on both sides of a stream, in the transaction that makes it: with the key that it had
 * before, and with the transaction, so that both sides can be compared commit by commit.
 */
export async function noteRows(client: pg.Client): Promise<void> {
  await client.query(`
    DROP SCHEMA IF EXISTS keystride_prove CASCADE;
    CREATE SCHEMA keystride_prove;
    CREATE SEQUENCE keystride_prove.moment;
    CREATE TABLE keystride_prove.row (
      moment bigint PRIMARY KEY DEFAULT nextval('keystride_prove.moment'), transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
      relation oid NOT NULL, before jsonb, after jsonb);
    CREATE TABLE keystride_prove.filled (relation oid PRIMARY KEY);
    CREATE FUNCTION keystride_prove.note_row() RETURNS trigger LANGUAGE plpgsql SET TimeZone = 'UTC' AS $$
    BEGIN
      INSERT INTO keystride_prove.row (relation, before, after)
      VALUES (TG_RELID, CASE TG_OP WHEN 'INSERT' THEN NULL ELSE to_jsonb(OLD) END,
              CASE TG_OP WHEN 'DELETE' THEN NULL ELSE to_jsonb(NEW) END);
      RETURN NULL;
    END $$`);
  for (const table of await auditedTables(client))
    await client.query(`
      INSERT INTO keystride_prove.filled SELECT ${client.escapeLiteral(table)}::regclass WHERE EXISTS (SELECT FROM ${table});
      CREATE TRIGGER keystride_prove AFTER INSERT OR UPDATE OR DELETE ON ${table}
         FOR EACH ROW EXECUTE FUNCTION keystride_prove.note_row()`);
}

/**
 * In a source: `keystride_prove.ending()` is what each transaction of the writer does last. It notes in which order they
 * commit, and a place of the log that the one before has committed below, and this one above.
 */
export async function noteTransactions(client: pg.Client): Promise<void> {
  await client.query(`
    CREATE TABLE keystride_prove.transaction (
      number bigserial PRIMARY KEY, transaction xid8 NOT NULL UNIQUE DEFAULT pg_current_xact_id(), above pg_lsn NOT NULL);
    CREATE FUNCTION keystride_prove.ending() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_advisory_xact_lock(hashtext('keystride_prove'));
      INSERT INTO keystride_prove.transaction (above) VALUES (pg_current_wal_insert_lsn());
    END $$`);
}
