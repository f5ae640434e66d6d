import {
  isGrpcCancelledError,
  isGrpcDeadlineError,
  type Client,
  type WorkflowExecutionDescription,
} from '@temporalio/client';
import { messages } from '../contract/messages.ts';
import type { JobProgress } from '../contract/progress.ts';
import { readPolled } from './health/workers.ts';

/** How long a worker may take to answer, in milliseconds, and after how long it is asked whether there is one. */
const answersWithin = 3_000;
const soon = 100;

/** How long after nobody has answered on a task queue nobody is asked there again, in milliseconds. */
const givenUpFor = 5_000;

/** When somebody has waited in vain, by task queue: whoever looks again and again does not wait each time. */
const unansweredAt = new WeakMap<Client, Map<string, number>>();

/** What the workflow itself says; undefined when no worker answers in time, at once where none polls its task queue. */
export async function queryProgress(
  client: Client,
  { workflowId, runId, taskQueue }: Pick<WorkflowExecutionDescription, 'workflowId' | 'runId' | 'taskQueue'>,
): Promise<JobProgress | undefined> {
  const inVain = unansweredAt.get(client) ?? new Map<string, number>();
  if (performance.now() - (inVain.get(taskQueue) ?? -Infinity) < givenUpFor) return undefined;
  const givingUp = new AbortController();
  const looking = setTimeout(() => void endWhereNobodyPolls(client, taskQueue, givingUp), soon);
  try {
    const handle = client.workflow.getHandle(workflowId, runId);
    return await client.withDeadline(Date.now() + answersWithin, () =>
      client.withAbortSignal(givingUp.signal, () => handle.query<JobProgress>(messages.progress)),
    );
  } catch (error) {
    // No worker, a worker that does not know the job, or a workflow that has not begun: the caller says what is known.
    if (isGrpcDeadlineError(error) || isGrpcCancelledError(error))
      unansweredAt.set(client, inVain.set(taskQueue, performance.now()));
    return undefined;
  } finally {
    clearTimeout(looking);
  }
}

/** Who cannot be asked about the task queue ends nothing: the query has its deadline. */
async function endWhereNobodyPolls(client: Client, taskQueue: string, query: AbortController): Promise<void> {
  const { pollers } = await readPolled(client, taskQueue).catch(() => ({ pollers: null }));
  if (pollers?.length === 0) query.abort();
}
