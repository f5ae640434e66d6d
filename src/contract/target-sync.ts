import { z } from 'zod';
import { defineJob } from './job.ts';
import { chunkStep, taskletStep } from './policy.ts';

/** Copies the documents that still have to be migrated from the service's database to the migration's. */
export const targetSync = defineJob({
  name: 'targetSync',
  description: 'Copy the documents without a preprocess document to migration_target',
  parameters: z.object({
    mode: z
      .enum(['bulk', 'incrementing'])
      .default('bulk')
      .describe('bulk reads the whole table; incrementing goes on above the last id of the run before'),
    run: z.int().min(1).default(1).describe('which sync this is: a completed one is not run again'),
    partitions: z
      .int()
      .min(1)
      .max(64)
      .default(4)
      .describe('key ranges copied at a time')
      .meta({ identifying: false }),
  }),
  steps: {
    copy: chunkStep({ chunkSize: 5000, partitions: 4 }),
    remember: taskletStep(),
  },
  tune: ({ partitions }) => ({ copy: { partitions, window: partitions } }),
});
