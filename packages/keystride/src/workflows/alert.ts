import type { Alert, AlertDelivery } from '../contract/alerts.ts';
import { deliverAlert } from '../workflow/activities.ts';

/** Delivers one alert, however long the webhook is away, up to a day. No job waits for it. */
export async function alert(message: Alert): Promise<AlertDelivery> {
  return deliverAlert(message);
}
