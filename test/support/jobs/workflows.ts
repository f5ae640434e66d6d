import type { JobProgress } from '../../../src/contract/progress.ts';
import { runJob } from '../../../src/engine/workflow/run-job.ts';

export * from '../../../src/workflows/index.ts';
export * from './fixture-workflows.ts';

export function noopTargets(parameters: unknown): Promise<JobProgress> {
  return runJob('noopTargets', parameters, async (job) => void (await job.step('read')));
}

export function noopItems(parameters: unknown): Promise<JobProgress> {
  return runJob('noopItems', parameters, async (job) => void (await job.step('pass')));
}

export function scriptedItems(parameters: unknown): Promise<JobProgress> {
  return runJob('scriptedItems', parameters, async (job) => void (await job.step('pass')));
}

export function incrementTargets(parameters: unknown): Promise<JobProgress> {
  return runJob('incrementTargets', parameters, async (job) => void (await job.step('increment')));
}
