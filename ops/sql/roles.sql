-- The roles of keystride on a server of PostgreSQL, once, as a superuser or with CREATEROLE:
--   psql -f ops/sql/roles.sql postgres
-- Passwords are given afterwards: \password keystride_worker

-- Migrates: owns schema keystride and the tables of your own that `keystride migrate` makes. Runs at a release.
CREATE ROLE keystride_migrate LOGIN CONNECTION LIMIT 5;
ALTER ROLE keystride_migrate SET lock_timeout = '10s';
ALTER ROLE keystride_migrate SET statement_timeout = '15min';
ALTER ROLE keystride_migrate SET idle_in_transaction_session_timeout = '1min';

-- Runs: workers, the command and the console, on the database that jobs write to (DATABASE_URL).
CREATE ROLE keystride_worker LOGIN;
-- What keystride does in a transaction has shorter times of its own; these are for whatever has none.
ALTER ROLE keystride_worker SET lock_timeout = '30s';
ALTER ROLE keystride_worker SET statement_timeout = '5min';
ALTER ROLE keystride_worker SET idle_in_transaction_session_timeout = '1min';

-- Reads: workers on databases that jobs only read (SOURCE_DATABASE_URL).
CREATE ROLE keystride_source LOGIN;
ALTER ROLE keystride_source SET default_transaction_read_only = on;
ALTER ROLE keystride_source SET lock_timeout = '5s';
ALTER ROLE keystride_source SET statement_timeout = '5min';
ALTER ROLE keystride_source SET idle_in_transaction_session_timeout = '5min';

-- Where KEYSTRIDE_HEALTH_… asks for replicas and sessions of others:
-- GRANT pg_monitor TO keystride_worker, keystride_source;
