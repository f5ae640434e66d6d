import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type { noop as noopContract } from './contract.ts';
import type { cpuBound as cpuBoundContract } from './cpu-bound.ts';

export * from '../../src/workflows/index.ts';

export function noop(parameters: InputOf<typeof noopContract>): Promise<JobProgress> {
  return runJob<typeof noopContract>(parameters, async (job) => void (await job.step('pass')));
}

export function cpuBound(parameters: InputOf<typeof cpuBoundContract>): Promise<JobProgress> {
  return runJob<typeof cpuBoundContract>(parameters, async (job) => void (await job.step('compute')));
}
