-- The database that jobs write to, with the ledger. As its owner, or a superuser, before the first `keystride migrate`:
--   psql -f ops/sql/target.sql DATABASE
-- On a database that has a ledger already it does no harm, and gives what is missing.
BEGIN;

-- The ledger is a schema of its own; the right to make it is one on the database.
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO keystride_migrate', current_database()); END $$;
CREATE SCHEMA IF NOT EXISTS keystride AUTHORIZATION keystride_migrate;
-- Where `keystride migrate` makes tables of your own too.
GRANT USAGE, CREATE ON SCHEMA public TO keystride_migrate;

-- What runs need of the ledger, and of what later releases add to it. No DDL, no TRUNCATE.
GRANT USAGE ON SCHEMA keystride TO keystride_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA keystride TO keystride_worker;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA keystride TO keystride_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE keystride_migrate IN SCHEMA keystride
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO keystride_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE keystride_migrate IN SCHEMA keystride
  GRANT USAGE ON SEQUENCES TO keystride_worker;
-- Which files have been applied is written by whoever migrates alone, where they have been.
DO $$ BEGIN
  IF to_regclass('keystride.schema_migration') IS NOT NULL THEN
    REVOKE INSERT, UPDATE, DELETE ON keystride.schema_migration FROM keystride_worker;
  END IF;
END $$;

-- The tables that jobs read and write: yours, one by one.
GRANT USAGE ON SCHEMA public TO keystride_worker;

COMMIT;
