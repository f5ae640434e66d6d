import { chunks, SkipItem, type StepsOf } from 'keystride';
import { keysetReader, tableWriter, typedSql } from 'keystride/postgres';
import type { invoiceReminder } from '../contract/invoice-reminder.ts';
import type { Resources } from '../resources.ts';

/** As they are read: bigint, numeric, dates and times as text, so that no digit is lost. */
interface Tables {
  invoice: { id: string; amount: string; due_on: string };
}

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
      processor: ({ id, amount }) => {
        if (Number(amount) <= 0) throw new SkipItem('NOTHING_TO_PAY', 'its amount is not above zero');
        return { invoice_id: id, amount };
      },
      // One statement a chunk, in the transaction that moves the checkpoint. An invoice that has a reminder already
      // counts as filtered.
      writer: tableWriter({ table: 'reminder', columns: { invoice_id: 'bigint', amount: 'numeric' } }),
    }),
});
