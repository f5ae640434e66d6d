import { workflowInfo } from '@temporalio/workflow';
import { type Pruned, type Retention, retentionOf } from '../contract/retention.ts';
import { pruneLedger } from '../workflow/activities.ts';
import { startedBy } from '../workflow/started-by.ts';

/**
 * Gives up what the ledger no longer has to keep: what a schedule starts.
 *
 * @param retention what is not said is as usual: see `keystride prune --help`.
 * @throws JobParametersInvalid
 */
export async function prune(retention: Partial<Retention> = {}): Promise<Pruned> {
  const { workflowId, runId } = workflowInfo();
  return pruneLedger({ retention: retentionOf(retention), started: startedBy(), workflowId, runId });
}
