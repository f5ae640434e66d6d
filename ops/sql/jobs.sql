-- What the eight jobs of this repository do with their tables, as an example for yours. As whoever owns the tables:
--   psql -f ops/sql/jobs.sql DATABASE
BEGIN;
-- purchaseConfirmation
GRANT SELECT, UPDATE ON orders TO keystride_worker;
-- couponExchange
GRANT SELECT, INSERT ON coupon TO keystride_worker;
GRANT SELECT, UPDATE ON member_coupon TO keystride_worker;
GRANT SELECT, INSERT, UPDATE ON outbox TO keystride_worker;
-- medicationHistory
GRANT SELECT, UPDATE ON management TO keystride_worker;
GRANT SELECT, INSERT ON history TO keystride_worker;
-- pointSettlement
GRANT SELECT ON point_event TO keystride_worker;
GRANT SELECT, INSERT, UPDATE ON point_cut_off TO keystride_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON point_settlement, point_daily_total TO keystride_worker;
-- targetSync and tableSync
GRANT SELECT, INSERT, UPDATE, DELETE ON migration_target TO keystride_worker;
-- documentMigration
GRANT SELECT, INSERT, UPDATE, DELETE ON preprocess_job, expected_migration_target TO keystride_worker;
COMMIT;
