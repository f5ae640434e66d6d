import { CancellationScope, continueAsNew } from '@temporalio/workflow';
import type { PageRequest, PartitionState } from '../contract/step-activities.ts';
import { PartitionReporter } from './partition-news.ts';
import { runPages, withChunkSize } from './run-pages.ts';

/**
 * One key range of a chunk step, as a child of its job. It holds no state of its own: the ledger knows where it
 * stands, and its parent cancels it to pause, to stop and to continue as new.
 */
export async function partition(request: PageRequest): Promise<PartitionState | undefined> {
  const reporter = new PartitionReporter(request);
  const state = await runPages(request, (page) => reporter.page(page));
  if (!state) return state;
  if (!state.done && !state.throttled && !CancellationScope.current().consideredCancelled) {
    await continueAsNew<typeof partition>(withChunkSize(request, state));
  }
  // What the last page has decided and tried again is among the untold, or has been told.
  return { ...state, ...reporter.untold };
}
