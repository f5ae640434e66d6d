import type { ApplicationFailure } from '@temporalio/workflow';
import { describeError, failure, failureTypeOf } from '../contract/errors.ts';
import { type FailurePlace, failurePlaceOf } from '../contract/failure-place.ts';
import { awayDetails } from './away.ts';
import { PartitionsFailed } from './partitions-failed.ts';

/** The failure of a step: says which in its message, and as data. */
export function stepFailure(instance: string, step: string, error: unknown): ApplicationFailure {
  const { partitions, items } = error instanceof PartitionsFailed ? error : { partitions: [], items: [] };
  const place: FailurePlace = { step, partitions, items };
  return failure(
    failureTypeOf(error) ?? 'StepFailed',
    `${instance} step ${step} failed. ${describeError(error)}`,
    { details: [place, ...awayDetails(error)] },
  );
}

/**
 * The failure of an execution, with everything that matters in its own message, which is what `temporal workflow describe`
 * shows: it begins with whose it is. What its cause tells as data it tells too.
 *
 * @param where the instance, or the job where there is none yet. The engine's own messages begin with it already.
 */
export function placed(where: string, error: unknown, message = describeError(error)): ApplicationFailure {
  const place = failurePlaceOf(error);
  return failure(
    failureTypeOf(error) ?? 'StepFailed',
    message.startsWith(where) ? message : `${where}: ${message}`,
    { details: [...(place ? [place] : []), ...awayDetails(error)] },
  );
}
