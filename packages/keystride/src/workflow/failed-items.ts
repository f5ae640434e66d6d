import { ApplicationFailure } from '@temporalio/workflow';
import type { FailedItem } from '../contract/activities.ts';

/** The partitions of a step that have failed; the step's own message tells of all of them. */
export class PartitionsFailed extends Error {
  override readonly name = 'PartitionsFailed';
  readonly items: readonly string[];
  /** Whether each of them failed because a store, or every worker, was away. */
  readonly away: boolean;

  constructor(message: string, items: readonly string[], away: boolean) {
    super(message);
    this.items = items;
    this.away = away;
  }
}

/** The keys of the items that made a step fail, where one item alone did. */
export function failedItemsOf(error: unknown): readonly string[] {
  return error instanceof PartitionsFailed ? error.items : [];
}

/** The key of the item that made a page fail, if one item alone did. */
export function failedItemOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const [detail] = at instanceof ApplicationFailure ? (at.details ?? []) : [];
    if (isFailedItem(detail)) return detail.failedKey;
  }
  return undefined;
}

function isFailedItem(detail: unknown): detail is FailedItem {
  return (
    typeof detail === 'object' && detail !== null && typeof (detail as FailedItem).failedKey === 'string'
  );
}
