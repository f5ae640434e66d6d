import { ApplicationFailure } from '@temporalio/common';
import type { Throttled } from './step-activities.ts';
import { failure, failureTypeOf } from './errors.ts';

/** Work that must not go on now: whoever waits for it asks again. */
export function heldBack(throttled: Throttled): ApplicationFailure {
  return failure('HeldBack', throttled.reason, { details: [throttled], benign: true });
}

/** Why work must not go on now, where it was throttled; undefined for any other failure. */
export function throttledBy(error: unknown): Throttled | undefined {
  if (failureTypeOf(error) !== 'HeldBack') return undefined;
  for (let at = error; at instanceof Error; at = at.cause)
    if (at instanceof ApplicationFailure && at.details?.[0]) return at.details[0] as Throttled;
  return undefined;
}
