import { chunkStep, defineJob } from 'keystride';
import { z } from 'zod';

/** Writes a reminder for every invoice that was due before a day, and has none yet. */
export const invoiceReminder = defineJob({
  name: 'invoiceReminder',
  description: 'Write reminders for the invoices that were due before a day',
  parameters: z.object({
    dueBefore: z.iso.date().describe('invoices due before this day are reminded of'),
  }),
  // A hundred invoices commit together; ten that cannot be right are set aside before the step fails.
  steps: { remind: chunkStep({ chunkSize: 100, skipLimit: 10 }) },
});
