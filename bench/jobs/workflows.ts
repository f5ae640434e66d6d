import type { JobProgress } from '../../src/contract/progress.ts';
import { runJob } from '../../src/engine/workflow/run-job.ts';

export * from '../../src/workflows/index.ts';

export function noop(parameters: unknown): Promise<JobProgress> {
  return runJob('noop', parameters, async (job) => void (await job.step('pass')));
}

export function cpuBound(parameters: unknown): Promise<JobProgress> {
  return runJob('cpuBound', parameters, async (job) => void (await job.step('compute')));
}
