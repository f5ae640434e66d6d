-- Which ledger this is: a run that was claimed in one goes on in no other. A restore and a promoted standby keep it.
create table keystride.ledger (
  id        uuid    not null default gen_random_uuid(),
  -- One row, and never another.
  singleton boolean primary key default true check (singleton)
);
insert into keystride.ledger default values;
