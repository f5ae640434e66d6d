import type { ScheduledRun } from '../contract/activities.ts';
import { resolveRun, type ScheduledJobInput } from '../contract/scheduled-job.ts';
import { failure } from '../contract/errors.ts';
import type { HashKey } from '../contract/sensitive.ts';
import type { IsOpen } from '../ledger/claim.ts';
import { findInstance } from '../ledger/instance.ts';
import type { JobRegistry } from '../job/registry.ts';
import type { Ledger } from '../ledger/ledger.ts';

interface ScheduledJobResources {
  readonly registry: JobRegistry;
  readonly ledger: Ledger;
  readonly isOpen: IsOpen;
  readonly hashKey: HashKey;
  taskQueueOf(job: string): string;
}

/**
 * Resolves the dates of a scheduled run, validates its parameters, and looks whether its instance is running or complete.
 *
 * It is an activity so that what it found is in the history: a worker with another edition of the time zones, or of the
 * job's contract, replays it all the same. The look at the ledger only spares runs that would be refused; who may run is
 * decided by the workflow id and the claim, as for every start.
 *
 * @throws JobParametersInvalid, UnknownJob
 */
export async function resolveScheduledJob(
  { registry, ledger, isOpen, hashKey, taskQueueOf }: ScheduledJobResources,
  { job, timeZone = 'UTC', scheduledAt, ...rest }: ScheduledJobInput,
): Promise<ScheduledRun> {
  const moment = scheduledAt === undefined ? undefined : { scheduledAt: timeOf(scheduledAt), timeZone };
  const resolved = {
    ...resolveRun(registry.definition(job), rest, moment, hashKey),
    taskQueue: taskQueueOf(job),
  };
  const { status, workflowId } = await findInstance(ledger, resolved.instance);
  if (status === 'completed') return { ...resolved, notStarted: 'completeAlready' };
  const running = status === 'running' && workflowId !== null && (await isOpen(workflowId, null));
  return { ...resolved, notStarted: running ? 'runningAlready' : null };
}

function timeOf(text: string): Date {
  const at = new Date(text);
  if (Number.isNaN(at.getTime()))
    throw failure('JobParametersInvalid', `scheduledAt is no ISO time: ${text}`);
  return at;
}
