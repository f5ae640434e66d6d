-- What medicationHistory takes a snapshot of, and the snapshots.

create table public.management (
  id bigint generated always as identity primary key,
  member_id bigint not null,
  medication_name varchar(255) not null,
  morning boolean not null default false,
  lunch boolean not null default false,
  dinner boolean not null default false,
  sleep boolean not null default false,
  morning_taking boolean not null default false,
  lunch_taking boolean not null default false,
  dinner_taking boolean not null default false,
  sleep_taking boolean not null default false,
  start_date date not null,
  end_date date not null,
  created_at timestamptz not null default now(),
  modified_at timestamptz not null default now(),
  deleted boolean not null default false
);

-- Every night rewrites the rows of everybody under treatment: clean up long before a fifth of the table is dead.
alter table public.management set (autovacuum_vacuum_scale_factor = 0.05);

comment on table public.management is
  'One row a medication that a member takes, from start_date to end_date, both included.';
comment on column public.management.morning is
  'Whether it is to be taken in the morning.';
comment on column public.management.morning_taking is
  'Whether it was taken this morning. medicationHistory writes it down and resets it.';

create table public.history (
  id bigint generated always as identity primary key,
  management_id bigint not null,
  member_id bigint not null,
  morning boolean not null,
  lunch boolean not null,
  dinner boolean not null,
  sleep boolean not null,
  morning_taking boolean not null,
  lunch_taking boolean not null,
  dinner_taking boolean not null,
  sleep_taking boolean not null,
  taking_date date not null,
  created_at timestamptz not null default now(),
  modified_at timestamptz not null default now(),
  deleted boolean not null default false,
  constraint history_management_id_taking_date_key unique (management_id, taking_date)
);

comment on table public.history is
  'One row a medication and day: what was planned and what was taken.';
comment on column public.history.management_id is
  'The row of management that it was copied from. No foreign key: history outlives what it tells about.';
comment on column public.history.taking_date is
  'The day. Unique with management_id, so that taking the snapshot of a day again inserts nothing.';
