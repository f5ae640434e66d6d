-- Rows of which the sink has all but a reference that closes a circle: what they refer to was not there. A change in the log
-- that comes later brings the reference as well.
alter table keystride.unsettled_row add column loose boolean not null default false;
