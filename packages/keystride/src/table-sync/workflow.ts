import type { InputOf } from '../contract/job.ts';
import type { JobProgress } from '../contract/progress.ts';
import type { tableSync as contract } from './contract.ts';
import { runJob } from '../workflow/run-job.ts';
import { syncFlow } from './sync-flow.ts';

/** Copies a table, then remembers how far it came; or goes on to follow it in the log of its source. */
export async function tableSync(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob<typeof contract>(parameters, async (job) => {
    const { mode } = job.parameters;
    if (mode !== 'log') return syncFlow({ ...job, parameters: { ...job.parameters, mode } }, tableSync);
    for (const step of ['begin', 'copy', 'sweep', 'remember', 'follow'] as const) await job.step(step);
  });
}
