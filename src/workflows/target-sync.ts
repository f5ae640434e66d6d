import type { InputOf } from '../../packages/keystride/src/contract/job.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import type { targetSync as contract } from '../contract/target-sync.ts';
import { runJob } from '../../packages/keystride/src/workflow/run-job.ts';
import { syncFlow } from '../../packages/keystride/src/table-sync/sync-flow.ts';

/** Copies the documents that are still to be migrated, then remembers how far it came. */
export async function targetSync(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob('targetSync', parameters, (job) => syncFlow(job, targetSync));
}
