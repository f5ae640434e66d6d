-- Syncs: where each stream stands, in a form that loses no row which commits late.

alter table keystride.stream_offset
  -- Runs no longer wait for open transactions: what those commit is found by the next sweep.
  drop column settled,
  -- The oldest transaction of the source that was still open when the last sweep, or the first copy, began. Whatever
  -- was written below the cursor by it or a later one may be missing in the target.
  add column horizon  text,
  -- The database and the table that cursor and horizon belong to. In another one they mean nothing.
  add column place    text,
  -- The table and the key columns that the cursor is a key of: for the figures that tell how far behind a stream is.
  add column source   text,
  add column key      jsonb,
  add column swept_at timestamptz,
  -- Counts the changes of this row: a run whose offset was moved by somebody else meanwhile does not move it again.
  add column moves    bigint      not null default 0;

comment on column keystride.stream_offset.cursor is
  'The highest key that was copied; null before the first run, and after a rewind to the start.';
