import { runJob } from 'keystride/workflow';

export * from 'keystride/workflows';

export async function invoices(parameters) {
  return runJob(parameters, async (job) => {
    await job.step('send');
  });
}
