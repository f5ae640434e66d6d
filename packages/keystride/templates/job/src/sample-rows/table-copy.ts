import type { Database } from './index.ts';

/** Makes rows of sample_table for tableCopy, and the table where there is none. */
export async function tableCopyRows(database: Database, rows: number): Promise<void> {
  await database.query(`
    CREATE TABLE IF NOT EXISTS sample_table (
      id bigint NOT NULL,
      PRIMARY KEY (id)
    )`);
  await database.query(
    `INSERT INTO sample_table (id)
     SELECT number
       FROM generate_series(1, $1::int) AS number`,
    [rows],
  );
}
