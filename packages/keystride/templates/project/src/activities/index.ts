import { registerJob } from 'keystride';
import { defineWorker } from 'keystride/worker';
import { invoiceReminder } from '../contract/invoice-reminder.ts';
import { resources } from '../resources.ts';
import { invoiceReminderSteps } from './invoice-reminder.ts';

/** What the workers of this project work with: every job with the work behind its steps. */
export default defineWorker({
  resources,
  jobs: (opened) => [registerJob(invoiceReminder, invoiceReminderSteps(opened))],
});
