import { chunkStep, defineJob } from 'keystride';
import { z } from 'zod';

/** Writes the even numbers of a range to the log. */
export const evenNumbers = defineJob({
  name: 'evenNumbers',
  description: 'Write the even numbers of a range to the log',
  parameters: z.object({
    from: z.int().default(1).describe('the first number'),
    to: z.int().default(100).describe('the last number'),
  }),
  // Ten numbers commit together: a worker that dies costs at most the ten it had in hand.
  steps: { print: chunkStep({ chunkSize: 10 }) },
});
