import { ApplicationFailure } from '@temporalio/workflow';
import type { FailedItem } from '../contract/failure-place.ts';
import { describeError, failureTypeOf } from '../contract/errors.ts';
import { failurePlaceOf } from '../contract/failure-place.ts';

/** A partition that has failed. */
export interface FailedPartition {
  readonly partition: number;
  readonly error: unknown;
}

/** The partitions of a step that have failed; the step's own message tells of all of them. */
export class PartitionsFailed extends Error {
  override readonly name = 'PartitionsFailed';
  readonly failed: readonly FailedPartition[];

  constructor(failed: readonly FailedPartition[]) {
    super(failed.map(partitionText).join(' | '));
    this.failed = failed;
  }

  get partitions(): readonly number[] {
    return this.failed.map(({ partition }) => partition);
  }

  /** The keys of the items that made them fail, where one item alone did. */
  get items(): readonly string[] {
    return this.failed.flatMap(({ error }) => failedItemsOf(error));
  }
}

/** Named by its type: that is what people look for, and the step's own failure says only that it failed. */
function partitionText({ partition, error }: FailedPartition): string {
  const told = [failureTypeOf(error), describeError(error)].filter(Boolean).join(': ');
  return `partition ${partition}: ${told}`;
}

/** The keys of the items that made a page fail, where one item alone did. */
function failedItemsOf(error: unknown): readonly string[] {
  const place = failurePlaceOf(error);
  if (place) return place.items;
  // A page of 0.1.0 tells of its item and of nothing else.
  for (let at = error; at instanceof Error; at = at.cause) {
    const [detail] = at instanceof ApplicationFailure ? (at.details ?? []) : [];
    if (isFailedItem(detail)) return [detail.failedKey];
  }
  return [];
}

function isFailedItem(detail: unknown): detail is FailedItem {
  return (
    typeof detail === 'object' && detail !== null && typeof (detail as FailedItem).failedKey === 'string'
  );
}
