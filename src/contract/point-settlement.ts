import { z } from 'zod';
import { chunkStep, defineJob, taskletStep } from 'keystride';

const events = chunkStep({ chunkSize: 5000, partitions: 2 });

/** Closes the books of a day: what each member has accrued, used and lost, and the totals of all. */
export const pointSettlement = defineJob({
  name: 'pointSettlement',
  description: 'Settle the points of a day, by member and in total',
  parameters: z.object({
    date: z.iso.date().describe('the day (UTC) whose events are settled'),
    rerun: z
      .int()
      .min(0)
      .default(0)
      .describe('settles the day again, with the events that came late; each rerun has a higher number'),
  }),
  steps: {
    cutOff: taskletStep(),
    accrual: events,
    usage: events,
    expiry: events,
    total: taskletStep(),
  },
});
