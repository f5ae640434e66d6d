import type { FillRequest } from 'keystride/config';
import pg from 'pg';
import { invoiceReminderRows } from './invoice-reminder.ts';

/** A connection, or a pool of them. */
export type Database = Pick<pg.Pool, 'query'>;

const tables = [invoiceReminderRows];

/** Makes so many rows of each table that jobs read. */
export async function fill({ databaseUrl, rows }: Pick<FillRequest, 'databaseUrl' | 'rows'>): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    for (const makeRows of tables) await makeRows(client, rows);
  } finally {
    await client.end();
  }
}
