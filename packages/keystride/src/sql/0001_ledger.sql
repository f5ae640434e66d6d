-- The ledger: what has committed. It lives in the database that the steps write to,
-- because only there can a checkpoint commit together with the rows.
create schema if not exists keystride;

-- One row a job instance: a job with its identifying parameters.
create table keystride.instance (
  instance_key      text        primary key,
  job               text        not null,
  params            jsonb       not null,
  -- Raised by every claim. A commit that names another epoch comes from an execution that lost the instance.
  epoch             bigint      not null,
  owner_workflow_id text        not null,
  owner_run_id      text        not null,
  status            text        not null check (status in ('running', 'completed', 'failed', 'stopped')),
  opened_at         timestamptz not null default now(),
  closed_at         timestamptz
);
create index instance_job on keystride.instance (job, opened_at);

-- One row a step of an instance, kept across its executions.
create table keystride.step (
  instance_key text        not null references keystride.instance on delete cascade,
  step         text        not null,
  status       text        not null check (status in ('open', 'completed')),
  -- The epoch of the execution that opened or completed it last, and how many executions have opened it.
  epoch        bigint      not null,
  starts       int         not null default 1,
  result       jsonb,
  expected     bigint,
  skipped      bigint      not null default 0,
  skip_limit   bigint      not null default 0,
  opened_at    timestamptz not null default now(),
  closed_at    timestamptz,
  primary key (instance_key, step)
);

-- One row a partition: how far it has committed. Every chunk's transaction moves it, by compare-and-set.
create table keystride.checkpoint (
  instance_key text        not null,
  step         text        not null,
  partition    int         not null,
  -- The range (lower, upper] of this partition and the last committed key: JSON arrays of the key's columns
  -- as the database renders them. A null lower or upper is open.
  lower        text,
  upper        text,
  cursor       text,
  epoch        bigint      not null,
  seq          bigint      not null default 0,
  -- The page attempt that may commit now. A later attempt takes it over, and the earlier one is shut out.
  holder       text,
  read         bigint      not null default 0,
  read_skipped bigint      not null default 0,
  filtered     bigint      not null default 0,
  written      bigint      not null default 0,
  skipped      bigint      not null default 0,
  done         boolean     not null default false,
  updated_at   timestamptz not null default now(),
  primary key (instance_key, step, partition),
  foreign key (instance_key, step) references keystride.step on delete cascade
) with (fillfactor = 50);

-- One row a skipped item, written in the transaction of its chunk.
create table keystride.skip (
  instance_key text        not null,
  step         text        not null,
  item_key     text        not null,
  phase        text        not null check (phase in ('read', 'process', 'write')),
  code         text        not null,
  -- The cause without its particulars, so that ten thousand skips read as three causes.
  fingerprint  text        not null,
  message      text        not null,
  item         jsonb,
  partition    int         not null,
  attempts     int         not null default 1,
  status       text        not null default 'open' check (status in ('open', 'redriven', 'waived')),
  created_at   timestamptz not null default now(),
  primary key (instance_key, step, item_key, phase),
  foreign key (instance_key, step) references keystride.step on delete cascade
);
create index skip_fingerprint on keystride.skip (instance_key, fingerprint);

-- How far the runs of a stream (a table copied again and again) have come, across instances.
create table keystride.stream_offset (
  stream       text        primary key,
  -- The last key below which nothing can be missing; null before the first run has ended.
  cursor       text,
  -- Whether all transactions that were open when the present run froze its upper key had ended before it read.
  settled      boolean     not null default true,
  updated_at   timestamptz not null default now()
);
