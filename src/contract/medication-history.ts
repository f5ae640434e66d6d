import { z } from 'zod';
import { chunkStep, defineJob, verificationStep } from 'keystride';

/** Writes down, day by day, which medication was planned and which was taken. */
export const medicationHistory = defineJob({
  name: 'medicationHistory',
  description: 'Write the medication of a day to the history and reset what was marked as taken',
  parameters: z.object({
    date: z.iso.date().describe('the day that the history rows are for'),
    variant: z
      .enum(['set', 'items'])
      .default('set')
      .describe('set: by statements in the database; items: row by row in TypeScript, with the same result')
      .meta({ identifying: false }),
    partitions: z
      .int()
      .min(1)
      .max(64)
      .default(4)
      .describe('key ranges at a time')
      .meta({ identifying: false }),
  }),
  steps: {
    snapshot: chunkStep({ chunkSize: 5000, durableEvery: 'page' }),
    /** Not part of the night's run: `keystride verify` asks for it. */
    verify: verificationStep({ chunkSize: 20_000 }),
  },
  policies: ({ partitions }) => ({ snapshot: { partitions, window: partitions } }),
});
