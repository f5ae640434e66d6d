import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { alertType, type AlertSettings } from '../contract/alerts.ts';
import type { AlertChannel } from '../page/dead-letter.ts';

/** How long Temporal may take to start the workflow of an alert, in milliseconds. */
const startWithin = 5_000;

interface ChannelOptions {
  readonly client: Client;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly alerts: AlertSettings;
  /** Where the Temporal UI is, if anybody knows. */
  readonly temporalUiUrl?: string;
}

/** Alerts as workflows of this namespace. */
export function alertChannel({
  client,
  namespace,
  taskQueue,
  alerts,
  temporalUiUrl,
}: ChannelOptions): AlertChannel {
  return {
    settings: alerts,
    start: async (workflowId, alert) => {
      try {
        await client.withDeadline(Date.now() + startWithin, () =>
          client.workflow.start(alertType, {
            ...{ workflowId, taskQueue, args: [alert] },
            workflowIdReusePolicy: 'REJECT_DUPLICATE',
            staticSummary: `${alert.kind}: ${alert.instance}`,
          }),
        );
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
    },
    uiUrlOf: (workflowId, runId) =>
      temporalUiUrl === undefined
        ? null
        : `${temporalUiUrl.replace(/\/$/u, '')}/namespaces/${namespace}/workflows/${encodeURIComponent(workflowId)}/${runId}`,
  };
}
