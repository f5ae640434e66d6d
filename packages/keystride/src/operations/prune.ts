import { Context } from '@temporalio/activity';
import type { PruneRequest } from '../contract/activities.ts';
import type { Pruned } from '../contract/retention.ts';
import { enterPrune, pruneLedger } from '../ledger/prune.ts';
import { refuseAheadOf } from '../ledger/prune-clock.ts';
import { type Auditing, authorOf } from './enter-control.ts';

/** Prunes the ledger, and enters once who has asked for it. An attempt goes on where the one before it was interrupted. */
export async function prune(auditing: Auditing, request: PruneRequest): Promise<Pruned> {
  const { retention, started, workflowId, runId } = request;
  refuseAheadOf(Context.current().info.currentAttemptScheduledTimestampMs, Date.now());
  const author = await authorOf(auditing, started, { workflowId, runId });
  await enterPrune(auditing.ledger, retention, { ...author, workflowId, runId, source: `${runId}/prune` });
  const { cancellationSignal: signal } = Context.current();
  const pruned = await pruneLedger(auditing.ledger, retention, { signal });
  signal.throwIfAborted();
  return pruned;
}
