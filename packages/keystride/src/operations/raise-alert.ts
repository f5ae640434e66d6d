import { Context } from '@temporalio/activity';
import type { AlertedStep, AlertRequest, JobAlert } from '../contract/alerts.ts';
import type { CloseJobRequest } from '../contract/activities.ts';
import { keystride, shellWord } from '../contract/shell.ts';
import { safeMessage } from '../page/item-errors.ts';
import { stepFigures } from '../ledger/step-figures.ts';
import { executionOf } from './execution.ts';
import { alertId, type AlertResources, placeOf } from '../page/dead-letter.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { JobRegistry } from '../job/registry.ts';

/**
 * Tells the operators of an execution: hands the message to a workflow of its own, which delivers it however long that
 * takes. Here nothing is waited for, so that a webhook that is down neither fails a job nor keeps it from closing, and
 * what is to be retried outlives the job. An activity that is retried raises its alert once.
 *
 * @param start the command that starts the same instance again, where there is one.
 */
export async function raiseAlert(
  { ledger, alerts, metrics }: AlertResources & { readonly metrics: Metrics },
  request: AlertRequest,
  start?: string,
): Promise<void> {
  metrics.add('alertsRaised', 1, { job_name: request.job, kind: request.kind });
  if (alerts.settings.webhookUrl === undefined) return;
  const { kind, job, instance, reason, step = null, partitions = [] } = request;
  const place = placeOf(alerts);
  // The counters are worth having, and no more: the ledger may be why there is an alert.
  const steps = await stepFigures(ledger, instance).catch(() => []);
  const alert: JobAlert = {
    ...{ kind, job, instance, ...place },
    ...{ step, partitions, reason, steps, next: nextSteps(request, place.workflowId, steps, start) },
  };
  await alerts.start(`alert:${alertId()}`, alert);
}

/** Raises the alert of an execution that has failed and is closed. Whatever goes wrong with it is only logged. */
export async function alertFailure(
  resources: AlertResources & { readonly registry: JobRegistry; readonly metrics: Metrics },
  request: CloseJobRequest,
): Promise<void> {
  const { claim, reason = '', place } = request;
  const { job, instance } = claim;
  try {
    const start = executionOf(request).startAgain(resources.registry);
    const where = place ? { step: place.step, partitions: place.partitions } : {};
    await raiseAlert(resources, { kind: 'failed', job, instance, reason, ...where }, start);
  } catch (error) {
    Context.current().log.error('the alert could not be raised', { instance, message: safeMessage(error) });
  }
}

function nextSteps(
  { kind, job, instance }: AlertRequest,
  workflowId: string,
  steps: readonly AlertedStep[],
  start: string | undefined,
): string[] {
  const id = shellWord(workflowId);
  if (kind === 'notStarted')
    return [
      `See what ${job} takes: ${keystride} jobs`,
      `Correct the schedule that is to start it, and trigger it when the cause is gone: ${keystride} schedule list`,
    ];
  if (kind === 'holding')
    return [
      `See it: ${keystride} status ${id}`,
      `When the cause is gone, try again: ${keystride} resume ${id}`,
      `Set aside the item that failed, and go on: ${keystride} skip ${id} --reason "…"`,
      `End it: ${keystride} stop ${id}`,
    ];
  const skipped = steps.some((step) => step.skipped > 0);
  return [
    `See it: ${keystride} status ${id}`,
    ...(skipped ? [`See what was skipped: ${keystride} skips ${shellWord(instance)} list`] : []),
    ...(start === undefined
      ? []
      : [`When the cause is gone, start it again; it goes on from what has committed: ${start}`]),
  ];
}
