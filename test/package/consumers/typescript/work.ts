import { chunks, listReader, registerJob, type StepsOf } from 'keystride';
import { defineWorker } from 'keystride/worker';
import type pg from 'pg';
import { invoices } from './invoices.ts';

interface Invoice {
  readonly number: number;
  readonly month: string;
}

const steps = (database: pg.Pool): StepsOf<typeof invoices> => ({
  send: ({ parameters: { month, count } }) =>
    chunks({
      reader: listReader(count, (index) => index + 1),
      processor: (number): Invoice | null => (number > 3 ? { number, month } : null),
      writer: {
        write: async (written, transaction) => {
          for (const invoice of written)
            await transaction.query('INSERT INTO invoice VALUES ($1, $2)', [invoice.number, invoice.month]);
          await database.query('SELECT 1');
        },
      },
    }),
});

export const wrong = chunks({
  reader: listReader(3, (index) => index),
  // @ts-expect-error the writer takes invoices, and these are their numbers
  processor: (number) => number,
  writer: { write: async (written: readonly Invoice[]) => written.length },
});

export default defineWorker({ jobs: ({ database }) => [registerJob(invoices, steps(database))] });
