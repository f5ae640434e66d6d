import { ApplicationFailure } from '@temporalio/workflow';
import { type JobFlow, type JobProgress, runJob } from 'keystride/workflow';

export function fixture(parameters: unknown): Promise<JobProgress> {
  return runJob('fixture', parameters, async (job) => void (await job.step('items')));
}

export function fixtureOnce(parameters: unknown): Promise<JobProgress> {
  return runJob('fixtureOnce', parameters, async (job) => void (await job.step('items')));
}

export function fixtureTable(parameters: unknown): Promise<JobProgress> {
  return runJob('fixtureTable', parameters, async (job) => void (await job.step('items')));
}

export function fixtureHold(parameters: unknown): Promise<JobProgress> {
  return runJob('fixtureHold', parameters, async (job) => void (await job.step('items')));
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
  branches: async (job) => {
    const second = async () => {
      await job.step('more');
      await job.step('finish');
    };
    await Promise.all([job.step('items'), second()]);
  },
  tolerant: async (job) => {
    await Promise.allSettled([job.step('items'), job.step('more')]);
  },
  retold: async (job) => {
    try {
      await job.step('items');
    } catch (cause) {
      throw ApplicationFailure.create({ message: 'told otherwise', cause: cause as Error });
    }
  },
  again: async (job) => {
    for (const step of ['items', 'prepare', 'items', 'prepare']) await job.step(step);
  },
  unknown: async (job) => {
    await job.step('prepare');
    await job.step('nonsense');
  },
  nested: async (job) => {
    await job.step('prepare');
    await job.run('inner', fixture, scriptOf(job));
    await job.step('finish');
  },
  nestedWrongly: async (job) => {
    await job.run('inner', fixture, { ...scriptOf(job), colour: 'red' });
  },
  nestedBeside: async (job) => {
    await Promise.all([job.run('inner', fixture, scriptOf(job)), job.step('more')]);
    await job.step('finish');
  },
};

/** The parameters of a flow, as the job `fixture` takes them. */
function scriptOf({ parameters }: JobFlow): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => name !== 'flow'));
}

export function fixtureFlow(parameters: unknown): Promise<JobProgress> {
  return runJob('fixtureFlow', parameters, inFlow);
}

export function fixtureFinish(parameters: unknown): Promise<JobProgress> {
  return runJob('fixtureFinish', parameters, inFlow);
}

async function inFlow(job: JobFlow): Promise<void> {
  await flows[String(job.parameters['flow'])]?.(job);
}
