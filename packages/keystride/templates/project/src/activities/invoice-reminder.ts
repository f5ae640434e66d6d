import { chunks, SkipItem, type StepsOf } from 'keystride';
import { keysetReader, typedSql } from 'keystride/postgres';
import type { invoiceReminder } from '../contract/invoice-reminder.ts';
import type { Resources } from '../resources.ts';

/** As they are read: bigint, numeric, dates and times as text, so that no digit is lost. */
interface Tables {
  invoice: { id: string; amount: string; due_on: string };
}

const write = `
  INSERT INTO reminder (invoice_id, amount)
  SELECT * FROM unnest($1::bigint[], $2::numeric[])
      ON CONFLICT (invoice_id) DO NOTHING`;

export const invoiceReminderSteps = ({ database }: Resources): StepsOf<typeof invoiceReminder> => ({
  remind: ({ parameters: { dueBefore } }) =>
    chunks({
      reader: keysetReader({
        pool: database,
        query: typedSql<Tables>()
          .selectFrom('invoice')
          .select(['id', 'amount'])
          .where('due_on', '<', dueBefore),
        table: 'invoice',
        key: ['id'],
      }),
      processor: (invoice) => {
        if (Number(invoice.amount) <= 0) throw new SkipItem('NOTHING_TO_PAY', 'its amount is not above zero');
        return invoice;
      },
      writer: {
        // One statement a chunk, in the transaction that moves the checkpoint. An invoice that has a reminder already
        // counts as filtered.
        write: async (invoices, transaction) => {
          const columns = [invoices.map(({ id }) => id), invoices.map(({ amount }) => amount)];
          return (await transaction.query(write, columns)).rowCount ?? 0;
        },
      },
    }),
});
