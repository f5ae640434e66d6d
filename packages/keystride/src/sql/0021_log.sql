-- Syncs that follow the log of their source. Where one stands is its row of stream_offset: the cursor is the position of the
-- last transaction that was applied.

-- Rows of the source that the sink did not take while what it had was of several moments: until the stream has passed the
-- last of them, and each is read again.
create table keystride.unsettled_row (
  stream text not null references keystride.stream_offset on delete cascade,
  -- The table of the source.
  source text not null,
  -- Its key there, as a cursor.
  key    text not null,
  -- Why, as SQLSTATE; null where the log alone could not say what the row is.
  code   text,
  -- How often it was read again and not taken.
  tries  int  not null default 0,
  primary key (stream, source, key)
);
