import type { InputOf } from '../contract/job.ts';
import type { JobProgress } from '../contract/progress.ts';
import type { tableSync as contract } from './contract.ts';
import { runJob } from '../workflow/run-job.ts';
import { syncFlow } from './sync-flow.ts';

/** Copies a table, then remembers how far it came. */
export async function tableSync(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob<typeof contract>(parameters, (job) => syncFlow(job, tableSync));
}
