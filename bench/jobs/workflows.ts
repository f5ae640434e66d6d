import { type JobProgress, runJob } from 'keystride/workflow';

export * from '../../src/workflows/index.ts';

export function noop(parameters: unknown): Promise<JobProgress> {
  return runJob('noop', parameters, async (job) => void (await job.step('pass')));
}

export function cpuBound(parameters: unknown): Promise<JobProgress> {
  return runJob('cpuBound', parameters, async (job) => void (await job.step('compute')));
}
