import { z } from 'zod';
import { defineJob } from 'keystride';
import { syncMode, syncParameters, syncPolicies, policiesOfSync } from 'keystride/table-sync/contract';

/** Copies the documents that still have to be migrated from the source database to the target. */
export const targetSync = defineJob({
  name: 'targetSync',
  description: 'Copy the documents without a preprocess document to migration_target',
  parameters: z.object({ mode: syncMode, ...syncParameters }),
  steps: syncPolicies,
  policies: policiesOfSync,
});
