import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';
import type * as contracts from './contract.ts';
import type { gated as gatedContract } from './gated.ts';
import type { slowParts as slowPartsContract } from './slow-parts.ts';
import type { verifiedItems as verifiedItemsContract } from './verified-items.ts';

export * from '../../../src/workflows/index.ts';
export * from './fixture-workflows.ts';

export function noopTargets(parameters: InputOf<typeof contracts.noopTargets>): Promise<JobProgress> {
  return runJob<typeof contracts.noopTargets>(parameters, async (job) => void (await job.step('read')));
}

export function noopItems(parameters: InputOf<typeof contracts.noopItems>): Promise<JobProgress> {
  return runJob<typeof contracts.noopItems>(parameters, async (job) => void (await job.step('pass')));
}

export function scriptedItems(parameters: InputOf<typeof contracts.scriptedItems>): Promise<JobProgress> {
  return runJob<typeof contracts.scriptedItems>(parameters, async (job) => void (await job.step('pass')));
}

export function nestedItems(parameters: InputOf<typeof contracts.nestedItems>): Promise<JobProgress> {
  return runJob<typeof contracts.nestedItems>(parameters, async (job) => {
    const { inARow, ...script } = job.parameters;
    if (inARow === 0) {
      await Promise.all([job.step('pass'), job.run('inner', scriptedItems, script)]);
      return;
    }
    for (let part = 1; part <= inARow; part++)
      await job.run(`part ${part}`, scriptedItems, { ...script, run: script.run + part });
  });
}

export function incrementTargets(
  parameters: InputOf<typeof contracts.incrementTargets>,
): Promise<JobProgress> {
  return runJob<typeof contracts.incrementTargets>(
    parameters,
    async (job) => void (await job.step('increment')),
  );
}

export function slowParts(parameters: InputOf<typeof slowPartsContract>): Promise<JobProgress> {
  return runJob<typeof slowPartsContract>(parameters, async (job) => void (await job.step('items')));
}

export function gated(parameters: InputOf<typeof gatedContract>): Promise<JobProgress> {
  const steps = { items: 'items', set: 'items', tasklet: 'once', verification: 'compare' } as const;
  return runJob<typeof gatedContract>(parameters, async (job) => {
    await job.step(steps[job.parameters.kind]);
  });
}

export function verifiedItems(parameters: InputOf<typeof verifiedItemsContract>): Promise<JobProgress> {
  return runJob<typeof verifiedItemsContract>(parameters, async (job) => void (await job.step('compare')));
}
