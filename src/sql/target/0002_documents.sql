-- The migration database: what targetSync fills and documentMigration works through.

create table public.migration_target (
  id bigint generated always as identity primary key,
  ticket_key text not null constraint migration_target_ticket_key_key unique,
  member_id bigint,
  document_name text,
  uploaded_at timestamptz,
  migrated boolean not null default false,
  migrated_at timestamptz,
  preprocess_id uuid
);

-- documentMigration pages by id over what is left; the index shrinks as the work is done.
create index migration_target_open_idx on public.migration_target (id) where not migrated;

-- A million rows turn from open to migrated within minutes: clean up long before a fifth of them is dead.
alter table public.migration_target set (autovacuum_vacuum_scale_factor = 0.05);

comment on table public.migration_target is
  'One row a document to migrate, copied from the service database by targetSync (upsert on ticket_key).';
comment on column public.migration_target.id is
  'The key that documentMigration pages by.';
comment on column public.migration_target.migrated is
  'True once nothing is left to do: the document is stored, or its failure was expected and is in expected_migration_target. Never overwritten by targetSync.';
comment on column public.migration_target.migrated_at is
  'When the chunk that finished this document wrote it.';
comment on column public.migration_target.preprocess_id is
  'The stored document: preprocess_job.id and the _id in MongoDB. Null where the failure was expected. Never overwritten by targetSync.';

create table public.preprocess_job (
  id uuid primary key,
  ticket_key text not null constraint preprocess_job_ticket_key_key unique,
  status text not null,
  sentence_count integer not null,
  sha256 text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

comment on table public.preprocess_job is
  'One row a stored document: what the new preprocessing module picks up.';
comment on column public.preprocess_job.id is
  'UUIDv5 of the ticket key in the URL namespace: the same on every attempt.';
comment on column public.preprocess_job.sha256 is
  'Lower-case hex SHA-256 of the compact JSON of the sentences; MongoDB holds the same value.';

create table public.expected_migration_target (
  id bigint generated always as identity primary key,
  migration_target_id bigint not null
    constraint expected_migration_target_migration_target_id_key unique,
  ticket_key text not null,
  code integer not null,
  message text not null,
  created_at timestamptz not null default now()
);

comment on table public.expected_migration_target is
  'Targets that cannot be migrated for a reason known beforehand; written in the transaction that sets migration_target.migrated.';
comment on column public.expected_migration_target.code is
  '1: the legacy system does not know the document (404). 2: it refuses the request (400). 3 and up: a domain rule, such as a format that is no longer supported.';
