-- What tableCopy writes: a row for each row of sample_table.
CREATE TABLE table_copy (
  id bigint NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (id)
);
