import { z } from 'zod';
import { chunkStep, defineJob } from 'keystride';

/** Numbers from memory, written nowhere: what is left is the engine. */
export const noop = defineJob({
  name: 'noop',
  description: 'Walk through numbers and write nothing',
  parameters: z.object({
    items: z.int().min(0),
    chunkSize: z.int().min(1).max(10_000),
    partitions: z.int().min(1).max(64).default(1),
    /** Tells executions apart that do the same. */
    run: z.int().default(0),
  }),
  steps: { pass: chunkStep({ durableEvery: 'page' }) },
  policies: ({ chunkSize, partitions }) => ({ pass: { chunkSize, partitions, window: partitions } }),
});
