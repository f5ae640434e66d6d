import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type { invoiceReminder as contract } from '../contract/invoice-reminder.ts';

/** Writes a reminder for every invoice that was due before a day, and has none yet. */
export async function invoiceReminder(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob<typeof contract>(parameters, async (job) => {
    await job.step('remind');
  });
}
