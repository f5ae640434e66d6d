import { DefaultLogger } from '@temporalio/worker';
import type { JobDefinition } from '../contract/job.ts';
import { instanceKey, parseParameters } from '../contract/parameters.ts';
import { policiesOf } from '../contract/policies.ts';
import { forecastStep, type StepForecast } from '../operations/plan-step.ts';
import { JobRegistry, type RegisteredJob } from '../job/registry.ts';
import { loadWorkerDefinition, type Project } from '../project/project.ts';
import { openResources, resourceSettings, type WorkerConfig } from './resources.ts';
import { rolledBackPool } from '../stores/postgres/rolled-back.ts';
import { Ledger } from '../ledger/ledger.ts';
import { keepResult, knowInstance } from '../ledger/trial.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';

/** What a run of a job would meet, step by step. */
export interface JobForecast {
  readonly job: string;
  readonly instance: string;
  readonly steps: readonly PlannedStep[];
}

/** A step, and why it was not tried, where it was not. */
export interface PlannedStep extends StepForecast {
  readonly notTried?: string;
}

export interface PlanOptions {
  /** Items shown of each step. */
  readonly samples: number;
  /** How long each step may be tried, in seconds. */
  readonly trySeconds: number;
  /** The settings of the resources. @default process.env */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Tries the first chunks of each step of a job and says what a run would be like. Everything it writes to the database
 * of the ledger is rolled back, one step seeing what those before it have written; other stores are not written to.
 *
 * @throws JobParametersInvalid, ConfigError, UnreachablePart
 */
export async function planJob(
  project: Project,
  config: WorkerConfig,
  job: JobDefinition,
  input: Readonly<Record<string, unknown>>,
  { env = process.env, ...options }: PlanOptions,
): Promise<JobForecast> {
  const parameters = parseParameters(job, input);
  const instance = instanceKey(job, parameters, config.encryption?.hashKey);
  const definition = await loadWorkerDefinition(project);
  const resources = await openResources(config, definition, resourceSettings(definition, env));
  const rolledBack = await rolledBackPool(config.databaseUrl, 'keystride plan');
  try {
    const jobs = definition.jobs({ ...resources.own, database: rolledBack.pool });
    const registry = new JobRegistry(jobs.map(withResults));
    const log = new DefaultLogger('WARN');
    const forecast = {
      registry,
      job: job.name,
      instance,
      parameters,
      ledger: new Ledger(rolledBack.pool),
      log,
      ...options,
    };
    const steps: PlannedStep[] = [];
    for (const [step, policy] of Object.entries(policiesOf(job, parameters))) {
      const untried = policy.kind === 'tasklet' ? steps.find(triedInPart) : undefined;
      steps.push(
        untried
          ? { ...unknownStep, step, kind: policy.kind, notTried: `${untried.step} was tried in part` }
          : await forecastStep(forecast, step, policy),
      );
    }
    return { job: job.name, instance, steps };
  } finally {
    await rolledBack.end();
    await resources.close();
  }
}

const unknownStep = {
  rows: null,
  partitions: 0,
  tried: { read: 0, written: 0, filtered: 0, skipped: 0, seconds: 0, samples: [] },
  seconds: null,
  events: 6,
  problems: [],
};

/** What a tasklet sees after such a step is half of a run's work, and what it says of that means nothing. */
function triedInPart({ kind, rows, tried }: PlannedStep): boolean {
  return kind === 'chunk' && tried.read < (rows ?? Number.POSITIVE_INFINITY);
}

/** A job whose tasklets leave their results where later steps look for them. */
function withResults(job: RegisteredJob): RegisteredJob {
  const { name } = job.definition;
  const steps = Object.entries(job.steps).map(([step, make]): [string, typeof make] => [
    step,
    (context) => {
      const work = make(context);
      if (!('run' in work)) return work;
      const run = async (transaction: Transaction) => {
        await knowInstance(transaction, name, context.instance);
        const result = await work.run(transaction);
        await keepResult(transaction, { instance: context.instance, step, result });
        return result;
      };
      return { ...work, run };
    },
  ]);
  return { ...job, steps: Object.fromEntries(steps) };
}
