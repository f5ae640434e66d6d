-- Parts of a budget of calls: how many calls of an API each worker may have out, for as long as it renews its part.
create table keystride.call_share (
  api        text        not null,
  worker     uuid        not null,
  -- Those that it may begin, or still has out, whichever is more.
  calls      int         not null check (calls >= 0),
  expires_at timestamptz not null,
  primary key (api, worker)
);
