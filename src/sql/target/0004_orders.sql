-- The orders that purchaseConfirmation confirms.

create table public.orders (
  id bigint generated always as identity primary key,
  customer_id bigint not null,
  amount bigint not null,
  status text not null,
  delivered_at timestamptz,
  purchase_confirmed_at timestamptz,
  created_at timestamptz not null default now()
);

-- purchaseConfirmation pages by id over what is left. Years of confirmed orders are not in it, so that the first page
-- of tonight is as quick as the last one.
create index orders_unconfirmed_idx on public.orders (id) where purchase_confirmed_at is null;

-- A million orders a night turn from open to confirmed: clean up long before a fifth of the table is dead.
alter table public.orders set (autovacuum_vacuum_scale_factor = 0.05);

comment on table public.orders is
  'One row an order of the shop.';
comment on column public.orders.amount is
  'In the smallest unit of the currency. A negative amount is a mistake that purchaseConfirmation sets aside.';
comment on column public.orders.delivered_at is
  'Null until the order has arrived.';
comment on column public.orders.purchase_confirmed_at is
  'When the customer, or purchaseConfirmation in the customer''s place, confirmed the purchase. Null until then.';
