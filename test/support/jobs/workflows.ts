import { type JobProgress, runJob } from 'keystride/workflow';

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

export function nestedItems(parameters: unknown): Promise<JobProgress> {
  return runJob('nestedItems', parameters, async (job) => {
    const { inARow, ...script } = job.parameters;
    if (inARow === 0) {
      await Promise.all([job.step('pass'), job.run('inner', scriptedItems, script)]);
      return;
    }
    for (let part = 1; part <= Number(inARow); part++)
      await job.run(`part ${part}`, scriptedItems, { ...script, run: Number(script['run']) + part });
  });
}

export function incrementTargets(parameters: unknown): Promise<JobProgress> {
  return runJob('incrementTargets', parameters, async (job) => void (await job.step('increment')));
}

export function slowParts(parameters: unknown): Promise<JobProgress> {
  return runJob('slowParts', parameters, async (job) => void (await job.step('items')));
}

export function gated(parameters: unknown): Promise<JobProgress> {
  const steps: Readonly<Record<string, string>> = { tasklet: 'once', verification: 'compare' };
  return runJob('gated', parameters, async (job) => {
    await job.step(steps[String(job.parameters['kind'])] ?? 'items');
  });
}
