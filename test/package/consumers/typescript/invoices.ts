import { z } from 'zod';
import { chunkStep, defineJob } from 'keystride';

export const invoices = defineJob({
  name: 'invoices',
  description: 'Send the invoices of a month',
  parameters: z.object({ month: z.string(), count: z.int().default(10) }),
  steps: { send: chunkStep({ chunkSize: 5 }) },
});
