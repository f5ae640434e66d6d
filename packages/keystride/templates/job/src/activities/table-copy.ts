import { chunks, type StepsOf } from 'keystride';
import { hashComparison, keysetReader, tableWriter, typedSql } from 'keystride/postgres';
import type { tableCopy } from '../contract/table-copy.ts';
import type { Resources } from '../resources.ts';

// As they are read: bigint, numeric, dates and times as text, so that no digit is lost.
const sql = typedSql<{
  sample_table: { id: string; note: string | null };
  table_copy: { id: string };
}>();
const rows = sql.selectFrom('sample_table');
const columns = ['id', 'note'] as const;
const key = ['id'] as const;

export const tableCopySteps = ({ database: pool }: Resources): StepsOf<typeof tableCopy> => ({
  work: () =>
    chunks({
      reader: keysetReader({ pool, query: rows.select(columns), table: 'sample_table', key }),
      // What is returned is written. Null leaves a row out; `throw new SkipItem(code, reason)` sets it aside.
      processor: (row) => row,
      // One statement a chunk, in the transaction that moves the checkpoint. A row that is there counts as filtered.
      writer: tableWriter({ table: 'table_copy', columns: { id: 'bigint' } }),
    }),
  // What is to be there, and what is: asked for by `keystride verify`.
  verify: () =>
    hashComparison(
      { pool, query: rows.select(key), table: 'sample_table', key },
      { pool, query: sql.selectFrom('table_copy').select(key), table: 'table_copy', key },
    ),
});
