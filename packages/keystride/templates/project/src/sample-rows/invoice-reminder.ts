import type { Database } from './index.ts';

/** Makes invoices for invoiceReminder, all of them due. */
export async function invoiceReminderRows(database: Database, rows: number): Promise<void> {
  await database.query(
    `INSERT INTO invoice (customer, amount, due_on)
     SELECT 'customer ' || number, number, date '2026-01-01' + number % 300 FROM generate_series(1, $1::int) AS number`,
    [rows],
  );
}
