import type { JobProgress } from '../contract/progress.ts';
import type { OpenedRedrive, RedriveInput } from '../contract/redrive.ts';
import { runJob } from '../workflow/run-job.ts';

/** Runs the skipped items of an instance again, step by step, and closes the skips of those that succeed. */
export async function redrive(input: RedriveInput): Promise<JobProgress> {
  return runJob<OpenedRedrive>(input, async (job) => {
    for (const step of job.parameters.steps) await job.step(step);
  });
}
