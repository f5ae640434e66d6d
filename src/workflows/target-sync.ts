import { syncFlow } from 'keystride/table-sync/workflow';
import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type { targetSync as contract } from '../contract/target-sync.ts';

/** Copies the documents that are still to be migrated, then remembers how far it came. */
export async function targetSync(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob<typeof contract>(parameters, (job) => syncFlow(job, targetSync));
}
