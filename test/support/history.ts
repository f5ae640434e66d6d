import type { Client } from '@temporalio/client';

type Events = NonNullable<
  Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['fetchHistory']>>['events']
>;

/** One event of a history. */
export type HistoryEvent = Events[number];

/** One run of a workflow: continued as new, the same workflow has several. */
export interface RunHistory {
  readonly workflowId: string;
  readonly runId: string;
  readonly events: readonly HistoryEvent[];
  /** Size of the history as the server stores it. */
  readonly bytes: number;
}

/** What a run costs the server, all workflows of it together. */
export interface HistoryCost {
  /** Workflow runs: the job's own, its partitions and nested jobs, and what continues them as new. */
  readonly workflows: number;
  readonly events: number;
  readonly bytes: number;
  /** As Temporal Cloud bills them, heartbeats included: as many of them as there are seconds of pages. */
  readonly actions: number;
}

/** The histories of a workflow and of all that it has started or continued as, the first run first. */
export async function historiesOf(client: Client, workflowId: string): Promise<RunHistory[]> {
  const first = await client.workflow.getHandle(workflowId).describe();
  const { firstRunId } = first.raw.workflowExecutionInfo ?? {};
  return follow(client, workflowId, firstRunId || first.runId);
}

async function follow(client: Client, workflowId: string, runId: string): Promise<RunHistory[]> {
  const handle = client.workflow.getHandle(workflowId, runId);
  const [{ events }, { historySize }] = await Promise.all([handle.fetchHistory(), handle.describe()]);
  const own = { workflowId, runId, events: events ?? [], bytes: historySize ?? 0 };
  const others: RunHistory[] = [];
  for (const { workflowId: id, runId: run } of startedBy(own))
    others.push(...(await follow(client, id, run)));
  return [own, ...others];
}

/** Why workflow tasks have failed, one for each. */
export function refusalsIn(events: readonly HistoryEvent[]): string[] {
  return events.flatMap(({ workflowTaskFailedEventAttributes: failed }) =>
    failed ? [failed.failure?.message ?? ''] : [],
  );
}

/** The children that a run has started, and the run that continues it. */
function startedBy({ workflowId, events }: RunHistory): { workflowId: string; runId: string }[] {
  return events.flatMap((event) => {
    const child = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution;
    if (child?.workflowId && child.runId) return [{ workflowId: child.workflowId, runId: child.runId }];
    const next = event.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
    return next ? [{ workflowId, runId: next }] : [];
  });
}

/** What a workflow and all that it has started or continued as cost together. */
export async function historyOf(client: Client, workflowId: string): Promise<HistoryCost> {
  return costOf(await historiesOf(client, workflowId));
}

/** What these histories cost together. */
function costOf(histories: readonly RunHistory[]): HistoryCost {
  const events = histories.flatMap((run) => run.events);
  const heartbeats = histories.flatMap(pagesOf).reduce((sum, page) => sum + Math.floor(page.seconds), 0);
  return {
    workflows: histories.length,
    events: events.length,
    bytes: histories.reduce((sum, { bytes }) => sum + bytes, 0),
    actions: events.reduce((sum, event) => sum + actionsOf(event), 0) + heartbeats,
  };
}

/**
 * Temporal Cloud's price list: one action for a workflow's start (two for a child's, of which its own history has one),
 * an attempt of an activity, a timer, an update, a signal, changed search attributes, and all local activities of one
 * workflow task together.
 */
function actionsOf(event: HistoryEvent): number {
  const billed =
    event.workflowExecutionStartedEventAttributes ??
    event.startChildWorkflowExecutionInitiatedEventAttributes ??
    event.timerStartedEventAttributes ??
    event.workflowExecutionUpdateAcceptedEventAttributes ??
    event.workflowExecutionSignaledEventAttributes ??
    event.upsertWorkflowSearchAttributesEventAttributes ??
    event.markerRecordedEventAttributes;
  return event.activityTaskStartedEventAttributes?.attempt ?? (billed ? 1 : 0);
}

/** One page that has ended. */
export interface PageRun {
  readonly startedAt: number;
  readonly seconds: number;
  /** The process that did it, as the server knows it. */
  readonly worker: string;
}

/** The pages of a run that have ended, by the server's clock. */
export function pagesOf({ events }: Pick<RunHistory, 'events'>): PageRun[] {
  const byId = new Map(events.map((event) => [String(event.eventId), event]));
  return events.flatMap((event) => {
    const ended = event.activityTaskCompletedEventAttributes ?? event.activityTaskCanceledEventAttributes;
    const scheduled = byId.get(String(ended?.scheduledEventId))?.activityTaskScheduledEventAttributes;
    const started = byId.get(String(ended?.startedEventId));
    if (scheduled?.activityType?.name !== 'processPage' || started === undefined) return [];
    const startedAt = msOf(started);
    const worker = started.activityTaskStartedEventAttributes?.identity ?? '';
    return [{ startedAt, seconds: (msOf(event) - startedAt) / 1000, worker }];
  });
}

/** When an event happened, by the server's clock, in milliseconds. */
export function msOf({ eventTime }: HistoryEvent): number {
  return Number(eventTime?.seconds ?? 0) * 1000 + (eventTime?.nanos ?? 0) / 1e6;
}

/** As `temporal.api.enums.v1.TimeoutType` numbers them. */
const timeoutTypes = ['', 'START_TO_CLOSE', 'SCHEDULE_TO_START', 'SCHEDULE_TO_CLOSE', 'HEARTBEAT'] as const;

/** Which time-outs led to further attempts of an activity, in a run and all that it has started, in order. */
export async function timeoutsOf(
  client: Client,
  workflowId: string,
  activity: string,
): Promise<(typeof timeoutTypes)[number][]> {
  return (await historiesOf(client, workflowId)).flatMap(({ events }) => {
    const scheduled = new Set(
      events
        .filter((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === activity)
        .map(({ eventId }) => String(eventId)),
    );
    return events.flatMap(({ activityTaskStartedEventAttributes: started }) => {
      const timeout = started?.lastFailure?.timeoutFailureInfo?.timeoutType;
      if (!timeout || !scheduled.has(String(started?.scheduledEventId))) return [];
      return timeoutTypes[timeout] ?? [];
    });
  });
}
