-- The sample tables of couponExchange, and an outbox that any job can use.

create table public.coupon (
  id bigint generated always as identity primary key,
  name text not null,
  description text not null,
  amount_type text not null,
  amount bigint not null,
  created_by_instance text constraint coupon_created_by_instance_key unique,
  created_at timestamptz not null default now(),
  constraint coupon_amount_check check (
    amount_type = 'FIX' and amount > 0 or amount_type = 'RATE' and amount between 1 and 100
  )
);

comment on table public.coupon is
  'One row a kind of coupon. Members hold it through member_coupon.';
comment on column public.coupon.amount is
  'FIX: won off the price. RATE: percent of it, 1 to 100.';
comment on column public.coupon.created_by_instance is
  'The job instance that has created it, so that the steps after the creation find it; null for a coupon of other origin. Unique: an instance creates one.';

create table public.member_coupon (
  id bigint generated always as identity primary key,
  member_id bigint not null,
  coupon_id bigint not null references public.coupon,
  status text not null default 'UNUSED' check (status in ('UNUSED', 'USED')),
  exchanged_from bigint references public.coupon,
  exchanged_at timestamptz,
  created_at timestamptz not null default now()
);

-- couponExchange pages by id over what is still to be exchanged; the index shrinks as the work is done.
create index member_coupon_unused_idx on public.member_coupon (coupon_id, id) where status = 'UNUSED';

comment on table public.member_coupon is
  'One row a coupon in a member''s hands; a member may hold several of one kind.';
comment on column public.member_coupon.exchanged_from is
  'The coupon that it was before couponExchange. Null for one that was never exchanged.';

create table public.outbox (
  id bigint generated always as identity primary key,
  topic text not null,
  recipient text not null,
  payload jsonb not null,
  idempotency_key uuid not null constraint outbox_idempotency_key_key unique,
  created_at timestamptz not null default now(),
  sent_at timestamptz
);

-- A sending step pages by id over what is unsent of its topic.
create index outbox_unsent_idx on public.outbox (topic, id) where sent_at is null;

comment on table public.outbox is
  'Messages for the world outside, written in the transaction of what they tell about, and sent by a later step.';
comment on column public.outbox.topic is
  'What the message is about: the job instance that wrote it.';
comment on column public.outbox.recipient is
  'Whom it is for. A recipient has at most one message of a topic.';
comment on column public.outbox.idempotency_key is
  'UUIDv5 of topic and recipient: the same on every attempt. The receiver, which keeps it, delivers a message once.';
comment on column public.outbox.sent_at is
  'When the receiver''s acceptance was recorded; null while the message is to be sent.';
