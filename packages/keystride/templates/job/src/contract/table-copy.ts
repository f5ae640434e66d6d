import { chunkStep, defineJob, verificationStep } from 'keystride';
import { z } from 'zod';

/** Does its work for each row of sample_table, and notes it in table_copy. */
export const tableCopy = defineJob({
  name: 'tableCopy',
  description: 'Do something for each row of a table',
  parameters: z.object({
    run: z.int().min(1).default(1).describe('which run it is: a run that has completed is not done again'),
  }),
  // A hundred rows commit together; ten that cannot be right are set aside before the step fails.
  steps: { work: chunkStep({ chunkSize: 100, skipLimit: 10 }), verify: verificationStep() },
});
