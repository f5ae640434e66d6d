-- A database that jobs only read. As its owner, or a superuser:
--   psql -f ops/sql/source.sql DATABASE
-- Instead of all tables, name those that your jobs read where others hold what they must not see.
BEGIN;
GRANT USAGE ON SCHEMA public TO keystride_source;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO keystride_source;
COMMIT;
