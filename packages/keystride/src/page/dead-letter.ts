import { Context } from '@temporalio/activity';
import type { Ledger } from '../ledger/ledger.ts';
import type { PageRequest } from '../contract/step-activities.ts';
import type { Alert, AlertSettings, DeadLetter } from '../contract/alerts.ts';
import { cutText } from '../contract/errors.ts';
import { recordDeadLetter } from '../ledger/dead-letter.ts';
import { fingerprint } from '../ledger/skips.ts';
import { safeMessage } from './item-errors.ts';
import type { ItemFailed } from './process-item.ts';

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
 * Records an item that has failed for good in the dead-letter stream, and tells the webhook of that stream.
 *
 * An item whose page will be tried again is not dead yet, nor is one that has failed within a workflow task. Whatever goes wrong here is only logged: the page has a failure
 * of its own to report.
 */
export async function buryItem(
  { ledger, alerts }: AlertResources,
  { claim, step, partition }: PageRequest,
  { key, phase, found, message, attempts }: ItemFailed,
): Promise<void> {
  const { attempt, retryPolicy, isLocal } = Context.current().info;
  if (isLocal || (found.decision === 'retry' && attempt !== retryPolicy?.maximumAttempts)) return;
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
export function alertId(): string {
  const { activityId, workflowExecution } = Context.current().info;
  return `${workflowExecution?.runId}:${activityId}`;
}

/** The run that an alert is of, and when. */
export function placeOf(alerts: AlertChannel) {
  const { workflowId = '', runId = '' } = Context.current().info.workflowExecution ?? {};
  return { workflowId, runId, uiUrl: alerts.uiUrlOf(workflowId, runId), at: new Date().toISOString() };
}
