-- What the order of a step's keys depends on, as its reader told it when the step opened. Null where the reader tells nothing,
-- and for a step that an earlier release has opened: its order is not looked at.
alter table keystride.step add column key_order text;
