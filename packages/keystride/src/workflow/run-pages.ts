import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import { grouped } from '../contract/grouped.ts';
import type { PageRequest, PartitionState } from '../contract/step-activities.ts';
import { pageActivities } from './activities.ts';

/**
 * Goes on with a partition page by page until it is done, until it is throttled, until the scope is cancelled, or until
 * Temporal suggests a new history.
 *
 * A cancelled page commits what it has in hand and answers like any other. Each page goes on with the commit interval
 * that the one before it ended with.
 *
 * @param onlyPage whether a page is expected to do all of it.
 * @returns where the partition stands, or undefined when it was interrupted between pages.
 */
export async function runPages(
  request: PageRequest,
  onPage: (state: PartitionState) => void = () => undefined,
  onlyPage = false,
): Promise<PartitionState | undefined> {
  const { processPage } = pageActivities(request.policy.pageSeconds, onlyPage);
  const scope = CancellationScope.current();
  let state: PartitionState | undefined;
  let next = request;
  while (
    !state?.done &&
    !state?.throttled &&
    !scope.consideredCancelled &&
    !(state && workflowInfo().continueAsNewSuggested)
  ) {
    try {
      state = await processPage.executeWithOptions({ summary: summaryOf(request, state) }, [next]);
    } catch (error) {
      // Interrupted while waiting for a retry, or its worker died meanwhile: the ledger knows where it stands.
      if (scope.consideredCancelled) return state;
      throw error;
    }
    next = withChunkSize(next, state);
    onPage(state);
  }
  return state;
}

/** A request that goes on with the commit interval that a page has ended with. */
export function withChunkSize(request: PageRequest, { chunkSize }: PartitionState): PageRequest {
  return chunkSize === undefined ? request : { ...request, policy: { ...request.policy, chunkSize } };
}

function summaryOf({ step, partition }: PageRequest, state: PartitionState | undefined): string {
  return state ? `${step} p${partition}: from row ${grouped(state.counters.read)}` : `${step} p${partition}`;
}
