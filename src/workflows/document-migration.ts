import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type { documentMigration as contract } from '../contract/document-migration.ts';

/** Fetches and stores every document that is not migrated, then compares what was stored. */
export async function documentMigration(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob<typeof contract>(parameters, async (job) => {
    await job.step('fetchAndStore');
    await job.step('verify');
  });
}
