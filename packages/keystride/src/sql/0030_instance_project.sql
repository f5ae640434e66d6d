-- The project that has claimed an instance. Several may use a ledger, and jobs of two may have one name; null for an
-- instance that an older build has claimed: the next claim says whose it is.
alter table keystride.instance add column project text;
