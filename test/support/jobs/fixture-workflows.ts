import { ApplicationFailure } from '@temporalio/workflow';
import { type InputOf, type JobFlow, type JobProgress, runJob } from 'keystride/workflow';
import type * as contracts from './fixture-contract.ts';

type Flow = JobFlow<typeof contracts.fixtureFlow>;

export function fixture(parameters: InputOf<typeof contracts.fixture>): Promise<JobProgress> {
  return runJob<typeof contracts.fixture>(parameters, async (job) => void (await job.step('items')));
}

export function fixtureOnce(parameters: InputOf<typeof contracts.fixtureOnce>): Promise<JobProgress> {
  return runJob<typeof contracts.fixtureOnce>(parameters, async (job) => void (await job.step('items')));
}

export function fixtureTable(parameters: InputOf<typeof contracts.fixtureTable>): Promise<JobProgress> {
  return runJob<typeof contracts.fixtureTable>(parameters, async (job) => void (await job.step('items')));
}

export function fixtureHold(parameters: InputOf<typeof contracts.fixtureHold>): Promise<JobProgress> {
  return runJob<typeof contracts.fixtureHold>(parameters, async (job) => void (await job.step('items')));
}

/** The flows that a test can ask for. Each is plain code. */
const flows: Record<Flow['parameters']['flow'], (job: Flow) => Promise<void>> = {
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
    for (const step of ['prepare', 'items', 'more', 'finish'] as const) {
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
    for (const step of ['items', 'prepare', 'items', 'prepare'] as const) await job.step(step);
  },
  often: async (job) => {
    for (let times = 0; times < 20; times++) await job.step('prepare');
  },
  unknown: async (job) => {
    await job.step('prepare');
    // @ts-expect-error the contract has no such step: a build that is compiled by halves may ask for it all the same
    await job.step('nonsense');
  },
  nested: async (job) => {
    await job.step('prepare');
    await job.run('inner', fixture, scriptOf(job));
    await job.step('finish');
  },
  nestedWrongly: async (job) => {
    // @ts-expect-error the contract has no such parameter
    await job.run('inner', fixture, { ...scriptOf(job), colour: 'red' });
  },
  nestedBeside: async (job) => {
    await Promise.all([job.run('inner', fixture, scriptOf(job)), job.step('more')]);
    await job.step('finish');
  },
};

/** The parameters of a flow, as the job `fixture` takes them. */
function scriptOf({ parameters: { flow: _flow, ...script } }: Flow) {
  return script;
}

export function fixtureFlow(parameters: InputOf<typeof contracts.fixtureFlow>): Promise<JobProgress> {
  return runJob<typeof contracts.fixtureFlow>(parameters, inFlow);
}

export function fixtureFinish(parameters: InputOf<typeof contracts.fixtureFinish>): Promise<JobProgress> {
  return runJob<typeof contracts.fixtureFinish>(parameters, inFlow);
}

async function inFlow(job: Flow): Promise<void> {
  await flows[job.parameters.flow](job);
}
