import type { JobFlow } from '../workflow/run-job.ts';
import type { JobWorkflow } from '../workflow/nested-job.ts';

/**
 * The flow of every sync. Once: the steps. Continuously: run after run of the same job, each with books and skips of its
 * own, until somebody stops it. A run that finds nothing costs a few queries.
 */
export async function syncFlow<Parameters>(job: JobFlow, workflow: JobWorkflow<Parameters>): Promise<void> {
  if (job.parameters['poll'] === 'continuous') await pollOnAndOn(job, workflow);
  await job.step('begin');
  await job.step('copy');
  await job.step('sweep');
  await job.step('remember');
}

/** Ends only by a stop, or a poll that has failed for good: not by a store, or by workers, that were away. */
async function pollOnAndOn<Parameters>(job: JobFlow, workflow: JobWorkflow<Parameters>): Promise<never> {
  const parameters = { ...job.parameters, poll: undefined };
  for (;;) {
    // Any number that was never used would do; this one tells people when the poll began.
    const run = Math.floor(Date.now() / 1000);
    try {
      await job.run('poll', workflow, { ...parameters, run } as Parameters);
    } catch (error) {
      // The next poll goes on from the same offset: what this one has not remembered it copies again, by upsert.
      job.outlive(error);
    }
    await job.wait(Number(job.parameters['pollSeconds']));
  }
}
