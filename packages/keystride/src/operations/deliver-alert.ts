import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { Alert, AlertDelivery, AlertSettings } from '../contract/alerts.ts';
import { failure } from '../contract/errors.ts';
import { postToWebhook, WebhookRefused } from '../stores/http/webhook.ts';
import { alertBody } from './alert-body.ts';
import { toFailure } from '../page/item-errors.ts';

/** What a webhook asks to wait is heeded up to here, in milliseconds. */
const longestWait = 3_600_000;

/**
 * Posts an alert to its webhook, once. Temporal retries it.
 *
 * @throws Unavailable, retried: also where this worker knows no webhook, for another one may.
 */
export async function deliverAlert(settings: AlertSettings, alert: Alert): Promise<AlertDelivery> {
  const [address, variable] =
    alert.kind === 'deadLetter'
      ? [settings.deadLetterUrl, 'DEAD_LETTER_WEBHOOK_URL']
      : [settings.webhookUrl, 'ALERT_WEBHOOK_URL'];
  if (address === undefined)
    throw failure('Unavailable', `this worker has no ${variable}; another one may.`, { retryable: true });
  try {
    const { cancellationSignal } = Context.current();
    const status = await postToWebhook(address, alertBody(alert, settings.format), cancellationSignal);
    return { host: new URL(address).host, status };
  } catch (error) {
    if (!(error instanceof WebhookRefused))
      throw toFailure(
        error,
        { decision: 'retry', code: 'ALERT', unavailable: true },
        'the alert could not be sent',
      );
    const asked = error.retryAfterMs === undefined ? undefined : Math.min(error.retryAfterMs, longestWait);
    throw ApplicationFailure.create({
      type: 'Unavailable',
      message: `${error.message}. It is tried again; correct ${variable} if it is wrong.`,
      ...(asked === undefined ? {} : { nextRetryDelay: asked }),
    });
  }
}
