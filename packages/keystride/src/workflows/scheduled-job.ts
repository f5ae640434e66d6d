import type { ScheduledJobInput, ScheduledJobResult } from '../contract/scheduled-job.ts';
import { runScheduledJob } from '../workflow/run-scheduled-job.ts';

/** Starts the job that a schedule names, for the dates of its scheduled time, and ends as the job ends. */
export async function scheduledJob(input: ScheduledJobInput): Promise<ScheduledJobResult> {
  return runScheduledJob(input);
}
