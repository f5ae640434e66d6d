-- Who changed what, when and why: one row a change. It outlives the instance that it is about.
create table keystride.audit (
  id           bigint      primary key generated always as identity,
  -- When it was done, by Temporal's clock where that has it: a ledger that was away is told later.
  at           timestamptz not null default now(),
  -- As the caller says, or as Temporal knows the client.
  operator     text        not null,
  origin       text        not null check (origin in ('command', 'console', 'temporal', 'schedule')),
  action       text        not null,
  reason       text,
  -- What the change is about, as it was and as it is: states and figures, never a row's content.
  before       jsonb       not null,
  after        jsonb       not null,
  -- What it was done to: a run, a schedule, a stream.
  job          text,
  instance_key text,
  workflow_id  text,
  run_id       text,
  subject      text,
  -- Of what Temporal's history has as well: the run and what it is there, so that it is entered once.
  source       text        unique
);
-- Newest first, by key, with each of what people ask for.
create index audit_at on keystride.audit (at, id);
create index audit_operator on keystride.audit (operator, at, id);
create index audit_action on keystride.audit (action, at, id);
create index audit_instance on keystride.audit (instance_key, at, id) where instance_key is not null;
create index audit_workflow on keystride.audit (workflow_id, at, id) where workflow_id is not null;
create index audit_subject on keystride.audit (subject, at, id) where subject is not null;
