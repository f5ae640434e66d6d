import { z } from 'zod';
import { defineJob } from './job.ts';
import { chunkStep, taskletStep, verificationStep } from './policy.ts';
import { refusedRows, syncMode, syncParameters } from './sync.ts';

/** Copies the documents that still have to be migrated from the service's database to the migration's. */
export const targetSync = defineJob({
  name: 'targetSync',
  description: 'Copy the documents without a preprocess document to migration_target',
  parameters: z.object({ mode: syncMode, ...syncParameters }),
  steps: {
    begin: taskletStep(),
    copy: chunkStep({ chunkSize: 5000, skip: refusedRows }),
    sweep: chunkStep({ chunkSize: 5000, skip: refusedRows }),
    remember: taskletStep(),
    /** Not part of a run: `keystride verify` asks for it. */
    verify: verificationStep({ chunkSize: 20_000 }),
  },
  tune: ({ partitions, skipLimit }) => ({
    copy: { partitions, window: partitions, skipLimit },
    sweep: { skipLimit },
  }),
});
