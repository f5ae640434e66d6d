-- What a stream that follows a log has applied since its tables were copied, by what was done to the rows.
alter table keystride.stream_offset
  add column inserted  bigint not null default 0,
  add column updated   bigint not null default 0,
  add column deleted   bigint not null default 0,
  add column truncated bigint not null default 0;
