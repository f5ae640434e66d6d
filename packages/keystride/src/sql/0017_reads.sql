-- What people look at: lists in the order in which things came, causes, keys. Instances and skips are few beside the rows
-- that pass; a checkpoint, which every chunk changes, gets no index more.

-- Sorted as bytes: then the keys that begin with a text, and the causes of a code, stand together.
alter table keystride.skip
  alter column item_key type text collate "C",
  alter column fingerprint type text collate "C";

drop index keystride.skip_fingerprint;
create index skip_cause on keystride.skip (instance_key, status, fingerprint, created_at);
create index skip_recorded on keystride.skip (instance_key, status, created_at);
create index skip_key on keystride.skip (item_key);
-- Over all instances what is open counts: what is settled leaves the index.
create index skip_open_cause on keystride.skip (fingerprint, created_at) where status = 'open';
create index skip_open on keystride.skip (created_at) where status = 'open';

create index instance_opened on keystride.instance (opened_at, instance_key);
create index instance_status on keystride.instance (status, opened_at);
create index instance_owner on keystride.instance (owner_workflow_id);
