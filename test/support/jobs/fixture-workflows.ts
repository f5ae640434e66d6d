import type { JobProgress } from '../../../src/contract/progress.ts';
import { type JobFlow, runJob } from '../../../src/engine/workflow/run-job.ts';

export function fixture(parameters: unknown): Promise<JobProgress> {
  return runJob('fixture', parameters, async (job) => void (await job.step('items')));
}

export function fixtureOnce(parameters: unknown): Promise<JobProgress> {
  return runJob('fixtureOnce', parameters, async (job) => void (await job.step('items')));
}

export function fixtureTable(parameters: unknown): Promise<JobProgress> {
  return runJob('fixtureTable', parameters, async (job) => void (await job.step('items')));
}

/** The flows that a test can ask for. Each is plain code. */
const flows: Record<string, (job: JobFlow) => Promise<void>> = {
  inOrder: async (job) => {
    await job.step('prepare');
    await job.step('items');
    await job.step('finish');
  },
  branch: async (job) => {
    const { skipped } = await job.step('items');
    await job.step(skipped > 0 ? 'more' : 'finish');
  },
  loop: async (job) => {
    for (const step of ['prepare', 'items', 'more', 'finish']) {
      const { written } = await job.step(step);
      if (written > 5) break;
    }
  },
  parallel: async (job) => {
    await Promise.all([job.step('items'), job.step('more')]);
    await job.step('finish');
  },
};

export function fixtureFlow(parameters: unknown): Promise<JobProgress> {
  return runJob('fixtureFlow', parameters, async (job) => {
    await flows[String(job.parameters['flow'])]?.(job);
  });
}
