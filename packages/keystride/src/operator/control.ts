import {
  isGrpcDeadlineError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { describeError } from '../contract/errors.ts';
import { messages, type ControlAnswer, type ControlRequest, type TuneRequest } from '../contract/messages.ts';
import { shellWord } from '../contract/shell.ts';
import { keystride } from './called-as.ts';
import { CommandError } from './command-error.ts';
import type { Session } from './connection.ts';
import { describe } from './execution.ts';
import { jobFailure } from './failures.ts';

/** How long a worker may take to answer, in milliseconds. */
const answerWithin = 10_000;

/** What an operator may ask of a run. */
export type Control = 'pause' | 'resume' | 'stop' | 'skip' | 'tune';

/**
 * Asks a run to do something, and waits until it has taken it.
 * @throws CommandError when it has ended, refuses, or no worker answers within ten seconds
 */
export async function sendControl(
  { client }: Session,
  which: Control,
  workflowId: string,
  request: ControlRequest | TuneRequest,
): Promise<ControlAnswer> {
  const { runId, status, taskQueue } = await describe(client, workflowId);
  if (status.name !== 'RUNNING') throw hasEnded(which, workflowId);
  const handle = client.workflow.getHandle(workflowId, runId);
  try {
    return await client.withDeadline(Date.now() + answerWithin, () =>
      handle.executeUpdate<ControlAnswer, [ControlRequest | TuneRequest]>(messages[which], {
        args: [request],
      }),
    );
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError && error.cause)
      throw jobFailure(error.cause, { message: describeError(error.cause), details: { workflowId } });
    if (error instanceof Error && error.name === 'WorkflowNotFoundError') throw hasEnded(which, workflowId);
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isGrpcDeadlineError(error))
      throw unanswered(which, workflowId, taskQueue, error);
    throw error;
  }
}

function hasEnded(control: Control, workflowId: string): CommandError {
  return new CommandError(
    {
      what: `${workflowId} has ended: there is nothing to ${control}`,
      todo: `See how it ended: ${keystride} status ${shellWord(workflowId)}`,
    },
    { type: 'ControlRefused', details: { workflowId } },
  );
}

function unanswered(control: Control, workflowId: string, taskQueue: string, cause: unknown): CommandError {
  return new CommandError(
    {
      what: `no worker has answered the ${control} within ${answerWithin / 1000} s`,
      where: `task queue ${taskQueue}`,
      todo: `Start a worker: ${keystride} worker\nSee its state, and send it again if need be: ${keystride} status ${shellWord(workflowId)}`,
    },
    { cause, type: 'NoWorker', details: { workflowId } },
  );
}
