import { chunks, type StepsOf } from 'keystride';
import { keysetReader, typedSql } from 'keystride/postgres';
import type { tableCopy } from '../contract/table-copy.ts';
import type { Resources } from '../resources.ts';

/** As they are read: bigint, numeric, dates and times as text, so that no digit is lost. */
interface Tables {
  sample_table: {
    id: string;
    note: string | null;
  };
}

const sql = typedSql<Tables>();

const columns = ['id', 'note'] as const;

/** One statement a chunk, in the transaction that moves the checkpoint. What is noted already counts as filtered. */
const write = `
  INSERT INTO table_copy (id)
  SELECT * FROM unnest($1::bigint[])
      ON CONFLICT DO NOTHING`;

export const tableCopySteps = ({ database }: Resources): StepsOf<typeof tableCopy> => ({
  work: () =>
    chunks({
      reader: keysetReader({
        pool: database,
        query: sql.selectFrom('sample_table').select(columns),
        table: 'sample_table',
        key: ['id'],
      }),
      // What is returned is written. Null leaves a row out; `throw new SkipItem(code, reason)` sets it aside.
      processor: (row) => row,
      writer: {
        write: async (rows, transaction) => {
          const keys = [rows.map((row) => row.id)];
          const { rowCount } = await transaction.query(write, keys);
          return rowCount ?? 0;
        },
      },
    }),
});
