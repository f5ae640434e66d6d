import { z } from 'zod';
import { chunkStep, defineJob, verificationStep } from 'keystride';

/** Moves the documents of `migration_target` from the legacy API to MongoDB and PostgreSQL, then compares. */
export const documentMigration = defineJob({
  name: 'documentMigration',
  description: 'Fetch documents from the legacy API and store them in MongoDB and PostgreSQL',
  parameters: z.object({
    run: z.int().min(1).default(1).describe('which migration run this is: a completed one is not run again'),
    inFlight: z
      .int()
      .min(1)
      .max(2000)
      .default(300)
      .describe('calls of the legacy API at a time')
      .meta({ identifying: false }),
    partitions: z
      .int()
      .min(1)
      .max(64)
      .default(1)
      .describe('key ranges at a time, for more workers than one')
      .meta({ identifying: false }),
  }),
  steps: {
    fetchAndStore: chunkStep({ chunkSize: 50, concurrency: 300, pageSeconds: 30, skipLimit: 1000 }),
    // A server without an index on what it is asked for reads the whole collection for each page.
    verify: verificationStep({ chunkSize: 5000 }),
  },
  policies: ({ inFlight, partitions }) => ({
    fetchAndStore: { concurrency: inFlight, partitions, window: partitions },
  }),
});
