import type { JobDefinition } from '../contract/job.ts';
import type { WorkerConnections } from './database.ts';
import { type Finding, ok, warn } from '../operator/finding.ts';

/** Partitions hold a connection each while they commit: those that find none wait for one another. */
export function partitionsFit(
  jobs: readonly JobDefinition[],
  { connections, workers }: WorkerConnections,
): Finding {
  const most = connections * Math.max(1, workers);
  const widest = jobs
    .flatMap(({ name, steps }) =>
      Object.entries(steps).flatMap(([step, policy]) =>
        policy.kind === 'chunk'
          ? [{ where: `${name} step ${step}`, partitions: Math.min(policy.window, policy.partitions) }]
          : [],
      ),
    )
    .toSorted((a, b) => b.partitions - a.partitions)[0];
  if (widest === undefined || widest.partitions <= most)
    return ok(
      'connections',
      `workers have ${most} connections to a database, enough for all partitions at once`,
    );
  return warn(
    'connections',
    `${widest.where} runs ${widest.partitions} partitions at a time, and workers have ${most} connections to a database`,
    `Set KEYSTRIDE_CONNECTIONS to ${Math.ceil(widest.partitions / Math.max(1, workers))}, or run more workers.`,
  );
}
