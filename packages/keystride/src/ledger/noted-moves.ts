import type pg from 'pg';

/**
 * Has each move of a stream's position noted, for `keystride prove`: where to, whether the sink was of one moment before, and
 * the transactions that have left rows to be read again.
 *
 * @param client of a database that has the schema `keystride_prove`, with its sequence `moment`.
 */
export async function noteMoves(client: Pick<pg.Client, 'query'>): Promise<void> {
  await client.query(`
    CREATE TABLE keystride_prove.move (
      moment bigint PRIMARY KEY DEFAULT nextval('keystride_prove.moment'), transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
      place pg_lsn NOT NULL, settled boolean NOT NULL);
    CREATE TABLE keystride_prove.unsettled (transaction xid8 NOT NULL);
    CREATE FUNCTION keystride_prove.note_move() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO keystride_prove.move (place, settled)
      VALUES ((NEW.cursor::jsonb ->> 0)::pg_lsn,
              coalesce((OLD.shape #>> '{log,copied}')::boolean
                         AND (OLD.cursor::jsonb ->> 0)::pg_lsn >= (OLD.shape #>> '{log,settledAt}')::pg_lsn, false)
                AND NOT EXISTS (SELECT FROM keystride.unsettled_row WHERE stream = NEW.stream));
      RETURN NULL;
    END $$;
    CREATE FUNCTION keystride_prove.note_unsettled() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO keystride_prove.unsettled VALUES (pg_current_xact_id());
      RETURN NULL;
    END $$;
    CREATE TRIGGER keystride_prove AFTER UPDATE OF cursor ON keystride.stream_offset
       FOR EACH ROW WHEN (NEW.cursor IS NOT NULL) EXECUTE FUNCTION keystride_prove.note_move();
    CREATE TRIGGER keystride_prove AFTER INSERT OR UPDATE ON keystride.unsettled_row
       FOR EACH ROW EXECUTE FUNCTION keystride_prove.note_unsettled()`);
}
