import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { failure } from '../contract/errors.ts';
import { classifyWith, toFailure } from '../page/item-errors.ts';

/** How often an activity says that its worker lives, in milliseconds. */
const heartbeatMs = 1_000;

/**
 * Does the work of an activity that is no page. It says that the worker lives for as long as the work takes, and turns
 * whatever is thrown into a failure that says where, and never what a row held.
 *
 * @param where the instance or the step, for the message.
 * @param step whose work it is, for the failure's details.
 * @throws CancelledFailure when the workflow has cancelled it; Unavailable, to be tried again, when its worker ends.
 */
export async function guarded<Result>(
  where: string,
  body: () => Promise<Result>,
  step?: string,
): Promise<Result> {
  const context = Context.current();
  const alive = setInterval(() => context.heartbeat(), heartbeatMs);
  try {
    return await body();
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
