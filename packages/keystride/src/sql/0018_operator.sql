-- What an operator is shown beside what is so: the calls of the API that all workers together may have out, as the worker
-- that holds the part was told.
alter table keystride.call_share add column budget int;
