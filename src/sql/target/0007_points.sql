-- What pointSettlement settles, and the settlements.

create table public.point_event (
  id bigint generated always as identity primary key,
  member_id bigint not null,
  type text not null check (type in ('ACCRUE', 'USE', 'EXPIRE')),
  amount bigint not null check (amount >= 0),
  occurred_at timestamptz not null
);

-- A step of pointSettlement walks the events of one day and type, member after member, and reads no others.
create index point_event_day_idx on public.point_event
  (((occurred_at at time zone 'UTC')::date), type, member_id, id);

comment on table public.point_event is
  'One row a change of a member''s points. Rows are added, never changed.';
comment on column public.point_event.amount is
  'Points. The type says in which direction.';
comment on column public.point_event.occurred_at is
  'When it happened, which may be long before the row was inserted.';

create table public.point_cut_off (
  settlement_date date primary key,
  rerun integer not null,
  last_event_id bigint not null,
  cut_off_at timestamptz not null default now()
);

comment on table public.point_cut_off is
  'One row a day that pointSettlement has begun to settle: which events belong to it.';
comment on column public.point_cut_off.rerun is
  'Which settlement of the day this is. An execution that settles an earlier one commits nothing any more.';
comment on column public.point_cut_off.last_event_id is
  'Events of the day with a higher id came too late for this settlement.';

create table public.point_settlement (
  settlement_date date not null,
  member_id bigint not null,
  accrued bigint not null default 0,
  used bigint not null default 0,
  expired bigint not null default 0,
  primary key (settlement_date, member_id)
);

-- Three steps write a column each of the same row: room for its new versions beside the old one.
alter table public.point_settlement set (fillfactor = 50);

comment on table public.point_settlement is
  'One row a member and day with events: the sums of what was accrued, used and expired.';

create table public.point_daily_total (
  settlement_date date primary key,
  accrued bigint not null,
  used bigint not null,
  expired bigint not null,
  members bigint not null
);

comment on table public.point_daily_total is
  'One row a settled day: the sums over its members. Written when they agree with the sums over its events, and not otherwise.';
