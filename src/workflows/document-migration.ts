import type { documentMigration as contract } from '../contract/document-migration.ts';
import type { InputOf } from '../../packages/keystride/src/contract/job.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { runJob } from '../../packages/keystride/src/workflow/run-job.ts';

/** Fetches and stores every document that is not migrated, then compares what was stored. */
export async function documentMigration(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob('documentMigration', parameters, async (job) => {
    await job.step('fetchAndStore');
    await job.step('verify');
  });
}
