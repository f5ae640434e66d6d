import { Context } from '@temporalio/activity';
import type {
  Alert,
  AlertedStep,
  AlertRequest,
  AlertSettings,
  DeadLetter,
  JobAlert,
} from '../contract/alerts.ts';
import type { Claim, CloseJobRequest, PageRequest } from '../contract/activities.ts';
import { cutText } from '../contract/errors.ts';
import { identifyingParameters, parameterToText } from '../contract/parameters.ts';
import { keystride, shellWord } from '../contract/shell.ts';
import { safeMessage } from '../page/item-errors.ts';
import { stepFigures } from '../ledger/step-figures.ts';
import { recordDeadLetter } from '../ledger/dead-letter.ts';
import { fingerprint } from '../ledger/skips.ts';
import type { ItemFailed } from '../page/process-item.ts';
import type { JobRegistry } from '../job/registry.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** How alerts leave a worker. */
export interface AlertChannel {
  readonly settings: AlertSettings;
  /** Starts the workflow that delivers the alert. Under an id that was used before it does nothing. */
  start(id: string, alert: Alert): Promise<void>;
  /** The run in the Temporal UI; null where nobody has said where that is. */
  uiUrlOf(workflowId: string, runId: string): string | null;
}

export interface AlertResources {
  readonly ledger: Ledger;
  readonly alerts: AlertChannel;
}

/**
 * Tells the operators of an execution: hands the message to a workflow of its own, which delivers it however long that
 * takes. Here nothing is waited for, so that a webhook that is down neither fails a job nor keeps it from closing, and
 * what is to be retried outlives the job. An activity that is retried raises its alert once.
 *
 * @param start the command that starts the same instance again, where there is one.
 */
export async function raiseAlert(
  { ledger, alerts }: AlertResources,
  request: AlertRequest,
  start?: string,
): Promise<void> {
  if (alerts.settings.webhookUrl === undefined) return;
  const { kind, job, instance, reason } = request;
  const place = placeOf(alerts);
  // The counters are worth having, and no more: the ledger may be why there is an alert.
  const steps = await stepFigures(ledger, instance).catch(() => []);
  const alert: JobAlert = {
    ...{ kind, job, instance, ...place },
    // The engine's own messages name them; see `stepFailure` and `PartitionWindow`.
    step: /\bstep (\S+) failed\b/u.exec(reason)?.[1] ?? null,
    partitions: [
      ...new Set([...reason.matchAll(/\bpartition (\d+)\b/gu)].map(([, number]) => Number(number))),
    ],
    ...{ reason, steps, next: nextSteps(request, place.workflowId, steps, start) },
  };
  await alerts.start(`alert:${alertId()}`, alert);
}

/** Raises the alert of an execution that has failed and is closed. Whatever goes wrong with it is only logged. */
export async function alertFailure(
  resources: AlertResources & { readonly registry: JobRegistry },
  { claim, parameters, reason = '' }: CloseJobRequest,
): Promise<void> {
  const { job, instance } = claim;
  try {
    const start = startCommand(resources.registry, claim, parameters);
    await raiseAlert(resources, { kind: 'failed', job, instance, reason }, start);
  } catch (error) {
    Context.current().log.error('the alert could not be raised', { instance, message: safeMessage(error) });
  }
}

/**
 * Records an item that has failed for good in the dead-letter stream, and tells the webhook of that stream.
 *
 * An item whose page will be tried again is not dead yet. Whatever goes wrong here is only logged: the page has a failure
 * of its own to report.
 */
export async function buryItem(
  { ledger, alerts }: AlertResources,
  { claim, step, partition }: PageRequest,
  { key, phase, found, message, attempts }: ItemFailed,
): Promise<void> {
  const { attempt, retryPolicy } = Context.current().info;
  if (found.decision === 'retry' && attempt !== retryPolicy?.maximumAttempts) return;
  const { job, instance } = claim;
  const told = cutText(message, longestMessage);
  const letter: DeadLetter = {
    ...{ kind: 'deadLetter', job, instance, ...placeOf(alerts), step, partition, key, phase },
    ...{ code: found.code, fingerprint: fingerprint({ code: found.code, message }), message: told, attempts },
  };
  try {
    const isNew = await recordDeadLetter(ledger, claim, letter);
    if (isNew && alerts.settings.deadLetterUrl !== undefined)
      await alerts.start(`dead-letter:${alertId()}:${attempt}`, letter);
  } catch (error) {
    Context.current().log.error('the dead letter could not be recorded', {
      ...{ instance, step, partition, key, message: safeMessage(error) },
    });
  }
}

/** A hostile or huge message must not fill the ledger. */
const longestMessage = 1000;

/** The same for every attempt of this activity, and for no other. */
function alertId(): string {
  const { activityId, workflowExecution } = Context.current().info;
  return `${workflowExecution?.runId}:${activityId}`;
}

function placeOf(alerts: AlertChannel) {
  const { workflowId = '', runId = '' } = Context.current().info.workflowExecution ?? {};
  return { workflowId, runId, uiUrl: alerts.uiUrlOf(workflowId, runId), at: new Date().toISOString() };
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

/** Only what identifies the instance: any of the others may be a secret, and may be given anew. */
function startCommand(
  registry: JobRegistry,
  { job, redrives }: Claim,
  parameters: CloseJobRequest['parameters'],
) {
  if (redrives) return `${keystride} skips ${shellWord(redrives.instance)} redrive`;
  const words = identifyingParameters(registry.definition(job)).flatMap((name) => {
    const value = parameters[name];
    if (value === undefined) return [];
    return [`--param ${shellWord(`${name}=${parameterToText(value)}`)}`];
  });
  return [`${keystride} start`, job, ...words].join(' ');
}
