-- The namespace of Temporal that an instance's run is in. A ledger may be used from several, and a worker asks its own alone
-- whether a run is open; null for a run that an older build has claimed.
alter table keystride.instance add column owner_namespace text;
