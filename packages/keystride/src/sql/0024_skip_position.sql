-- How far the source of a skipped item had come when it was skipped, in words of its reader: a redrive that reads a standby
-- waits until that shows no older row. Null for what an earlier release has skipped, and where the reader does not say.
alter table keystride.skip add column read_up_to text;
