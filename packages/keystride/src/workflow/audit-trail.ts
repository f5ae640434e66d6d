import {
  CancellationScope,
  condition,
  currentUpdateInfo,
  log,
  patched,
  workflowInfo,
} from '@temporalio/workflow';
import type { Claim } from '../contract/claim.ts';
import type { ControlEntry } from '../contract/activities.ts';
import type { AuditedControl, AuditFacts } from '../contract/audit.ts';
import type { ControlRequest } from '../contract/messages.ts';
import { enterControl } from './activities.ts';
import { startedBy } from './started-by.ts';

/** A control that was obeyed. */
interface Obeyed {
  readonly control: AuditedControl;
  readonly request?: ControlRequest | undefined;
  readonly before: AuditFacts;
  readonly after: AuditFacts;
}

/**
 * Has the controls of a run entered in the audit, whoever sent them.
 *
 * No control waits for its entry: a pause holds while the ledger is away, and the entry follows, however late. The run
 * waits for its entries before it ends.
 */
export class AuditTrail {
  #open = 0;

  /** @param claim undefined for a run that has not opened. */
  enter(job: string, claim: Claim | undefined, { control, request, before, after }: Obeyed): void {
    // A run that was recorded before there was an audit has no such activity in its history.
    if (!patched('audit')) return;
    const { workflowId, runId } = workflowInfo();
    const update = currentUpdateInfo()?.id;
    const { parent } = startedBy();
    void this.#follow({
      ...{ control, at: new Date().toISOString(), before, after, job, workflowId, runId },
      ...(update !== undefined && control !== 'cancel' && { update }),
      ...(request?.by && { by: request.by }),
      ...(request?.reason !== undefined && { reason: request.reason }),
      ...(claim && { claim }),
      ...(parent !== undefined && { parent }),
    });
  }

  async #follow(entry: ControlEntry): Promise<void> {
    this.#open++;
    try {
      // Not even a cancellation of the run takes its entry back.
      await CancellationScope.nonCancellable(() => enterControl(entry));
    } catch (error) {
      // It is tried for as long as the run lasts; this is what no further attempt would mend.
      log.warn('a control could not be entered in the audit', { control: entry.control, error });
    } finally {
      this.#open--;
    }
  }

  /** Waits for the entries that are under way: for an hour, as the closing of an instance waits for its ledger. */
  async settled(): Promise<void> {
    if (this.#open > 0) await condition(() => this.#open === 0, '1 hour');
  }
}
