-- What is left of an instance that was pruned: its own row, so that it is refused as complete for ever, with its figures.
alter table keystride.instance
  -- When its steps, partitions, skips and dead letters were given up; null for one that has them.
  add column pruned_at       timestamptz,
  -- They are being deleted, a bounded number at a time: whoever prunes next goes on with them.
  add column being_pruned    boolean not null default false,
  -- What had committed of it, for those who ask after its partitions are gone.
  add column pruned_counters jsonb;
create index instance_prunable on keystride.instance (job, closed_at, instance_key)
  where status = 'completed' and redrives is null and pruned_at is null;
create index instance_being_pruned on keystride.instance (instance_key) where being_pruned;
