import { sleep } from '@temporalio/workflow';
import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type * as contracts from './fixture-contract.ts';

/** The workflows of the tests, of which one takes its time. */
export * from './workflows.ts';

/** Does its items, then looks every five minutes for an hour whether it may end. */
export function fixtureHold(parameters: InputOf<typeof contracts.fixtureHold>): Promise<JobProgress> {
  return runJob<typeof contracts.fixtureHold>(parameters, async (job) => {
    await job.step('items');
    for (let look = 1; look <= 12; look++) await sleep('5 minutes');
  });
}
