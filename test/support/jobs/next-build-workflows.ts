import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type * as contracts from './fixture-contract.ts';

/** The workflows of a build that follows the present one. */
export * from './workflows.ts';

/** Has other steps than the present one, in another order: no run of either can be replayed by the other. */
export function fixtureFlow(parameters: InputOf<typeof contracts.fixtureFlow>): Promise<JobProgress> {
  return runJob<typeof contracts.fixtureFlow>(parameters, async (job) => {
    await job.step('items');
    await job.step('more');
  });
}
