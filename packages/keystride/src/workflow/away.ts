import { ApplicationFailure, TimeoutFailure } from '@temporalio/workflow';
import { failureTypeOf, type FailureType } from '../contract/errors.ts';
import { PartitionsFailed } from './partitions-failed.ts';

/** What a failure carries besides its message, where a store or the workers were away. */
export interface AwayDetail {
  readonly away: true;
}

const awayTypes: readonly (FailureType | undefined)[] = [
  'Unavailable',
  'UnknownJob',
  'StepFailed',
  undefined,
];

/**
 * Whether a failure says no more than that a store, or every worker, was away for longer than anybody waited: what
 * failed so may pass when it is tried again. A verdict of ours does not.
 */
export function wasAway(error: unknown): boolean {
  if (!awayTypes.includes(failureTypeOf(error))) return false;
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof TimeoutFailure) return true;
    if (at instanceof PartitionsFailed) return at.failed.every(({ error: each }) => wasAway(each));
    if (!(at instanceof ApplicationFailure)) continue;
    if (at.type === 'Unavailable' || at.type === 'UnknownJob') return true;
    if (at.details?.some(isAwayDetail)) return true;
  }
  return false;
}

/** What a failure that is told in other words must carry on. */
export function awayDetails(error: unknown): readonly AwayDetail[] {
  return wasAway(error) ? [{ away: true }] : [];
}

function isAwayDetail(detail: unknown): detail is AwayDetail {
  return typeof detail === 'object' && detail !== null && (detail as Partial<AwayDetail>).away === true;
}
