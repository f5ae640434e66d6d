import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type { invoices as contract } from './invoices.ts';

export * from 'keystride/workflows';

export async function invoices(parameters: InputOf<typeof contract>): Promise<JobProgress> {
  return runJob<typeof contract>(parameters, async (job) => {
    const { written } = await job.step('send');
    if (written > job.parameters.count) throw new RangeError('more than there are');
    // @ts-expect-error the contract has no such step
    await job.step('sent');
    // @ts-expect-error the contract has no such parameter
    void job.parameters.year;
  });
}
