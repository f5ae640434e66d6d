import { addressesOfStack, loadSettings } from '../dev/settings.ts';
import type { JobDefinition } from '../contract/job.ts';
import { type JobForecast, planJob } from '../host/plan-job.ts';
import { loadProject } from '../project/project.ts';

/** What a plan shows, and how long it tries. */
export interface PlanExtent {
  /** Items shown of each step. */
  readonly samples: number;
  /** How long each step may be tried, in seconds. */
  readonly trySeconds: number;
}

/**
 * What a run of a job would be like, by its first chunks, which are rolled back.
 * @throws JobParametersInvalid, ConfigError, UnreachablePart, ProjectError
 */
export async function forecastOf(
  job: JobDefinition,
  input: Readonly<Record<string, unknown>>,
  extent: PlanExtent,
): Promise<JobForecast> {
  const project = await loadProject();
  const config = loadSettings(process.env, ['temporal', 'databaseUrl']);
  return planJob(project, config, job, input, { ...extent, env: { ...addressesOfStack(), ...process.env } });
}
