import type { ParametersOf } from '../contract/job.ts';
import type { SyncJob } from '../contract/sync.ts';
import type { JobFlow } from '../workflow/job-flow.ts';
import type { JobWorkflow } from '../workflow/nested-job.ts';

/** The flow of a job that has the steps of a sync, and parameters of its own besides those of every sync. */
interface SyncFlow<Parameters> extends Omit<JobFlow<SyncJob>, 'parameters'> {
  readonly parameters: Parameters;
}

/**
 * The flow of every sync. Once: the steps. Continuously: run after run of the same job, each with books and skips of its
 * own, until somebody stops it. Between them it looks whether there is anything to copy, which costs a few queries.
 *
 * @param workflow the job's own.
 */
export async function syncFlow<Parameters extends ParametersOf<SyncJob>>(
  job: SyncFlow<Parameters>,
  workflow: JobWorkflow<Parameters>,
): Promise<void> {
  if (job.parameters.poll === 'continuous') await pollOnAndOn(job, workflow);
  await job.step('begin');
  await job.step('copy');
  await job.step('sweep');
  await job.step('remember');
}

/** Ends only by a stop, or a poll that has failed for good: not by a store, or by workers, that were away. */
async function pollOnAndOn<Parameters extends ParametersOf<SyncJob>>(
  job: SyncFlow<Parameters>,
  workflow: JobWorkflow<Parameters>,
): Promise<never> {
  for (;;) {
    // Any number that was never used would do; this one tells people when the poll began.
    const run = Math.floor(Date.now() / 1000);
    try {
      await job.run('poll', workflow, { ...job.parameters, poll: undefined, run });
    } catch (error) {
      // The next poll goes on from the same offset: what this one has not remembered it copies again, by upsert.
      job.outlive(error);
    }
    await job.wait(job.parameters.pollSeconds, 'begin');
  }
}
