-- The dead-letter stream: items that have failed for good and ended their step, one row an item and execution. What was
-- skipped is in keystride.skip; what is here was not expected, and is for people to look at.
create table keystride.dead_letter (
  instance_key text        not null references keystride.instance on delete cascade,
  -- The execution that met it: its epoch in the ledger, its workflow in Temporal.
  epoch        bigint      not null,
  workflow_id  text        not null,
  run_id       text        not null,
  step         text        not null,
  partition    int         not null,
  item_key     text        not null,
  phase        text        not null check (phase in ('read', 'process', 'write')),
  code         text        not null,
  fingerprint  text        not null,
  -- Never a row's content.
  message      text        not null,
  attempts     int         not null,
  created_at   timestamptz not null default now(),
  primary key (instance_key, epoch, step, item_key, phase)
);
create index dead_letter_created on keystride.dead_letter (created_at);
