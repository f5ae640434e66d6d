import { DefaultLogger } from '@temporalio/worker';
import { createJobs } from './activities/index.ts';
import type { JobDefinition } from './contract/job.ts';
import { instanceKey, parseParameters } from './contract/parameters.ts';
import { policiesOf } from './contract/policies.ts';
import { forecastStep, type StepForecast } from './engine/activity/plan-step.ts';
import { JobRegistry } from './engine/activity/registry.ts';
import { openResources, type WorkerConfig } from './resources.ts';
import { rolledBackPool } from './stores/postgres/rolled-back.ts';

/** What a run of a job would meet, step by step. */
export interface JobForecast {
  readonly job: string;
  readonly instance: string;
  readonly steps: readonly StepForecast[];
}

export interface PlanOptions {
  /** Items shown of each step. */
  readonly samples: number;
  /** How long each step may be tried, in seconds. */
  readonly trySeconds: number;
}

/**
 * Tries the first chunks of each step of a job and says what a run would be like. Everything it writes to the database
 * of the ledger is rolled back, one step seeing what those before it have written; other stores are not written to.
 *
 * @throws JobParametersInvalid, UnreachablePart
 */
export async function planJob(
  config: WorkerConfig,
  job: JobDefinition,
  input: Readonly<Record<string, unknown>>,
  options: PlanOptions,
): Promise<JobForecast> {
  const parameters = parseParameters(job, input);
  const instance = instanceKey(job, parameters);
  const resources = await openResources(config);
  const ledger = await rolledBackPool(config.databaseUrl, 'keystride plan');
  try {
    const registry = new JobRegistry(createJobs({ ...resources, migration: ledger.pool }));
    const log = new DefaultLogger('WARN');
    const forecast = { registry, job: job.name, instance, parameters, ledger: ledger.pool, log, ...options };
    const steps: StepForecast[] = [];
    for (const [step, policy] of Object.entries(policiesOf(job, parameters)))
      steps.push(await forecastStep(forecast, step, policy));
    return { job: job.name, instance, steps };
  } finally {
    await ledger.end();
    await resources.close();
  }
}
