import { CancellationScope, continueAsNew } from '@temporalio/workflow';
import type { PageRequest, PartitionState } from '../contract/activities.ts';
import { runPages } from '../engine/workflow/run-pages.ts';

/**
 * One key range of a chunk step, as a child of its job. It holds no state of its own: the ledger knows where it
 * stands, and its parent cancels it to pause, to stop and to continue as new.
 */
export async function partition(request: PageRequest): Promise<PartitionState | undefined> {
  const state = await runPages(request);
  if (state && !state.done && !CancellationScope.current().consideredCancelled) {
    await continueAsNew<typeof partition>(request);
  }
  return state;
}
