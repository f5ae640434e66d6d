import { chunks, listReader, registerJob } from 'keystride';
import { defineWorker } from 'keystride/worker';
import { invoices } from './invoices.js';

const steps = {
  send: ({ parameters: { month, count } }) =>
    chunks({
      reader: listReader(count, (index) => index + 1),
      processor: (number) => (number > 3 ? { number, month } : null),
      writer: {
        write: async (written, transaction) => {
          for (const invoice of written)
            await transaction.query('INSERT INTO invoice VALUES ($1, $2)', [invoice.number, invoice.month]);
        },
      },
    }),
};

export default defineWorker({ jobs: () => [registerJob(invoices, steps)] });
