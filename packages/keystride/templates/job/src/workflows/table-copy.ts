import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type { tableCopy as contract } from '../contract/table-copy.ts';

/** Does its work for each row of sample_table, and notes it in table_copy. */
export async function tableCopy(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob<typeof contract>(parameters, async (job) => {
    await job.step('work');
    // `verify` is for `keystride verify`: here it would fail a run that has set rows aside.
  });
}
