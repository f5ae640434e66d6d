-- Syncs: what rows depend on besides being written, so that a change of it is found.

-- As it was when the run began that moved the horizon last; null where a release moved it that did not look.
alter table keystride.stream_offset add column shape jsonb;

-- The shape that a run has met when it began, until it has ended: too large for Temporal's history.
create table keystride.met_shape (
  instance_key text  primary key references keystride.instance on delete cascade,
  shape        jsonb not null
);

-- Rows that a sync has read and not written yet, because a row that they refer to comes later: until their step ends.
create table keystride.postponed_row (
  instance_key text not null,
  step         text not null,
  -- The row's place in the order that the step reads in.
  cursor       text not null,
  partition    int  not null,
  -- In the order in which they were read, about.
  number       bigint generated always as identity,
  primary key (instance_key, step, cursor),
  foreign key (instance_key, step) references keystride.step on delete cascade
);
