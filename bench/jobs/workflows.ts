import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { runJob } from '../../packages/keystride/src/workflow/run-job.ts';

export * from '../../src/workflows/index.ts';

export function noop(parameters: unknown): Promise<JobProgress> {
  return runJob('noop', parameters, async (job) => void (await job.step('pass')));
}

export function cpuBound(parameters: unknown): Promise<JobProgress> {
  return runJob('cpuBound', parameters, async (job) => void (await job.step('compute')));
}
