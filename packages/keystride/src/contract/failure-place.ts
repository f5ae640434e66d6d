import { ApplicationFailure } from '@temporalio/common';

/**
 * Where in a job it failed: an element of the details of a failure, beside the sentence for people. A failure of 0.1.0
 * has none; whoever reads it then says less.
 */
export interface FailurePlace {
  readonly step: string;
  /** The partitions that failed, of a chunk step. */
  readonly partitions: readonly number[];
  /** Keys of the items that failed, where single ones did: an operator may set them aside. */
  readonly items: readonly string[];
}

/** The place that an error tells, or the outermost of its causes that does. */
export function failurePlaceOf(error: unknown): FailurePlace | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const place = at instanceof ApplicationFailure ? at.details?.find(isFailurePlace) : undefined;
    if (place) return place;
  }
  return undefined;
}

function isFailurePlace(detail: unknown): detail is FailurePlace {
  if (typeof detail !== 'object' || detail === null) return false;
  const { step, partitions, items } = detail as Partial<FailurePlace>;
  return typeof step === 'string' && Array.isArray(partitions) && Array.isArray(items);
}

/** In the details of a failure of 0.1.0: the item that failed. Now it is part of a `FailurePlace`. */
export interface FailedItem {
  readonly failedKey: string;
}
