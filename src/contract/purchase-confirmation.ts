import { z } from 'zod';
import { chunkStep, defineJob } from 'keystride';

/** Confirms the purchases that their customers have not confirmed themselves. */
export const purchaseConfirmation = defineJob({
  name: 'purchaseConfirmation',
  description: 'Confirm the orders delivered before a date',
  parameters: z.object({
    deliveredBefore: z.iso.date().describe('orders delivered before this day (UTC) are confirmed'),
    partitions: z
      .int()
      .min(1)
      .max(64)
      .default(4)
      .describe('key ranges confirmed at a time')
      .meta({ identifying: false }),
  }),
  steps: {
    // Five thousand rows are locked for some tens of milliseconds; smaller chunks cost more commits for the same work.
    // A hundred orders that cannot be right are a hundred tickets; more of them are a defect upstream.
    confirm: chunkStep({ chunkSize: 5000, skipLimit: 100, durableEvery: 'page' }),
  },
  policies: ({ partitions }) => ({ confirm: { partitions, window: partitions } }),
});
