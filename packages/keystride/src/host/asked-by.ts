import type { Client } from '@temporalio/client';
import type { AskedBy, Request } from '../operations/enter-control.ts';

type History = Awaited<
  ReturnType<Client['workflowService']['getWorkflowExecutionHistoryReverse']>
>['history'];
type HistoryEvent = NonNullable<NonNullable<History>['events']>[number];

/** Events looked at a time, and how often: what is asked about has just happened. */
const atATime = 200;
const mostLooks = 10;

/**
 * Asks Temporal who has sent a request to a run, in the words of its history: the identity of the client, which the
 * client chooses itself. Undefined where the history does not say, or cannot be read: an entry is worth more than a name.
 */
export function askedBy(client: Client): AskedBy {
  return (request) => ask(client, request).catch(() => undefined);
}

async function ask({ workflowService, options }: Client, request: Request): Promise<string | undefined> {
  const { workflowId, runId, asked } = request;
  const of = { namespace: options.namespace, execution: { workflowId, runId } };
  if (asked === 'start') {
    const { history } = await workflowService.getWorkflowExecutionHistory({ ...of, maximumPageSize: 1 });
    return history?.events?.[0]?.workflowExecutionStartedEventAttributes?.identity || undefined;
  }
  let nextPageToken: Uint8Array | null | undefined;
  for (let look = 0; look < mostLooks; look++) {
    const page = await workflowService.getWorkflowExecutionHistoryReverse({
      ...of,
      maximumPageSize: atATime,
      ...(nextPageToken && { nextPageToken }),
    });
    for (const event of page.history?.events ?? []) {
      const sender = senderIn(event, asked);
      if (sender !== undefined) return sender || undefined;
    }
    ({ nextPageToken } = page);
    if (!nextPageToken?.length) return undefined;
  }
  return undefined;
}

/** Who has sent what is asked about; empty where its event names nobody, undefined where this is another event. */
function senderIn(event: HistoryEvent, asked: Exclude<Request['asked'], 'start'>): string | undefined {
  if (asked === 'cancel') {
    const cancelled = event.workflowExecutionCancelRequestedEventAttributes;
    // Another workflow has cancelled this one: what it is a part of, or a schedule's action.
    return cancelled
      ? cancelled.externalWorkflowExecution?.workflowId || cancelled.identity || ''
      : undefined;
  }
  const { meta } =
    event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest ??
    event.workflowExecutionUpdateAdmittedEventAttributes?.request ??
    {};
  return meta?.updateId === asked.update ? (meta.identity ?? '') : undefined;
}
