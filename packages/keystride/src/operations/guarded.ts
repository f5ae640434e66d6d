import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { failure } from '../contract/errors.ts';
import { classifyWith, toFailure } from '../page/item-errors.ts';

/** How often an activity says that its worker lives, in milliseconds. */
const heartbeatMs = 1_000;

/** What an answer may have that is given within a workflow task, in characters of JSON. */
const longestWithin = 32 * 1024;

/**
 * Does the work of an activity that is no page. It says that the worker lives for as long as the work takes, and turns
 * whatever is thrown into a failure that says where, and never what a row held.
 *
 * @param where the instance or the step, for the message.
 * @param step whose work it is, for the failure's details.
 * @param everyMs how often it says that the worker lives, in milliseconds.
 * @throws CancelledFailure when the workflow has cancelled it; Unavailable, to be tried again, when its worker ends, and
 * for an answer that is too long for the workflow task that it would be sent with.
 */
export async function guarded<Result>(
  where: string,
  body: () => Promise<Result>,
  step?: string,
  everyMs = heartbeatMs,
): Promise<Result> {
  const context = Context.current();
  const { isLocal } = context.info;
  // Of what is done within a workflow task, the task is what is missed.
  const alive = isLocal ? undefined : setInterval(() => context.heartbeat(), everyMs);
  try {
    const answer = await body();
    if (isLocal) refuseLong(answer, where);
    return answer;
  } catch (error) {
    const place = step === undefined ? undefined : { step, partitions: [], items: [] };
    throw (
      interrupted(context, error, where) ?? toFailure(error, classifyWith(undefined)(error), where, place)
    );
  } finally {
    clearInterval(alive);
  }
}

/**
 * Refuses an answer that is to be asked for on the queue, where it is sent alone: those of a workflow task are sent with
 * everything else of it in one message, and a task whose message is refused is tried for ever.
 */
function refuseLong(answer: unknown, where: string): void {
  if ((JSON.stringify(answer) ?? '').length <= longestWithin) return;
  throw failure('Unavailable', `${where}: the answer is too long to be given within a workflow task.`, {
    retryable: true,
    benign: true,
  });
}

/**
 * What an activity that was told to end says. Work that listens to its signal ends by an error of its own, which would be
 * taken for a fault of the work.
 */
function interrupted({ cancellationSignal, cancellationDetails }: Context, error: unknown, where: string) {
  if (!cancellationSignal.aborted || error instanceof ApplicationFailure) return undefined;
  if (cancellationDetails?.cancelRequested === true) return new CancelledFailure(`${where} was cancelled`);
  return failure(
    'Unavailable',
    `${where} was interrupted: its worker ends, or has given it up. Another goes on.`,
    {
      retryable: true,
      benign: true,
    },
  );
}
