-- What runs may have in their histories: raised when no worker is left that could not go on with them.
alter table keystride.ledger add column level int not null default 0;
