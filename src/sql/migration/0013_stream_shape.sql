-- Syncs: what rows depend on besides being written, so that a change of it is found.

-- As it was when the run began that moved the horizon last; null where a release moved it that did not look.
alter table keystride.stream_offset add column shape jsonb;

-- The shape that a run has met when it began, until it has ended: too large for Temporal's history.
create table keystride.met_shape (
  instance_key text  primary key references keystride.instance on delete cascade,
  shape        jsonb not null
);
