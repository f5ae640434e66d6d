-- Skips as work: what it takes to run a skipped item again, and who has settled it.

alter table keystride.instance
  -- The instance whose skips this one runs again; null for all others.
  add column redrives text references keystride.instance on delete cascade;
create index instance_redrives on keystride.instance (redrives) where redrives is not null;

alter table keystride.skip
  -- The item's place in its reader's key order, as a checkpoint holds it. Null in rows of releases that did not keep it:
  -- then the key is its only column.
  add column cursor     text,
  -- The redrive that has, or had, the item in hand, and the item's place among those of its step.
  add column redrive    text,
  add column place      int,
  -- When it was redriven or waived, by which redrive or by whom, and why.
  add column settled_at timestamptz,
  add column settled_by text,
  add column reason     text;
create index skip_redrive on keystride.skip (redrive, step, place) where redrive is not null;
