-- The last number that was handed out to an attempt that writes to other stores. Each is above all before it, and
-- at least the clock's milliseconds: a ledger that was restored goes on above what it has forgotten.
create table keystride.fence (
  one  boolean primary key default true check (one),
  last bigint  not null
);

-- The number of the repair that may write for an instance at rest; a later one takes it over.
alter table keystride.instance add column repair_fence bigint;
