import { Context } from '@temporalio/activity';
import type { ControlEntry, OpenJobRequest } from '../contract/activities.ts';
import {
  type AuditEntry,
  type Authorship,
  type ChangedBy,
  type StartedBy,
  unknownOperator,
} from '../contract/audit.ts';
import type { VerificationRequest } from '../contract/step-activities.ts';
import { enterChange, type RunStart } from '../ledger/audit.ts';
import { readLedger, refuseOther } from '../ledger/hold-claim.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** What somebody has asked of a run. */
export interface Request {
  readonly workflowId: string;
  readonly runId: string;
  readonly asked: 'start' | 'cancel' | { readonly update: string };
}

/** Says whom Temporal knows as the sender of a request; undefined where it does not. */
export type AskedBy = (request: Request) => Promise<string | undefined>;

/** What entries are made with. */
export interface Auditing {
  readonly ledger: Ledger;
  readonly askedBy: AskedBy;
}

/**
 * Enters a control that a run has obeyed. Done again, it is the same entry. A cancellation by the workflow that the run is
 * a part of is none: what has brought that one to rest is entered there.
 *
 * @throws OtherLedger, to be tried again
 */
export async function enterControl(
  { ledger, askedBy }: Auditing,
  { control, update, by: said, claim, parent, ...run }: ControlEntry,
): Promise<void> {
  const { workflowId, runId } = run;
  const asked = control === 'cancel' || update === undefined ? 'cancel' : { update };
  const by = said ?? (await senderOf(askedBy, { workflowId, runId, asked }));
  if (asked === 'cancel' && by.operator === parent) return;
  const entry: AuditEntry = {
    ...run,
    action: control,
    by,
    // What is done to a redrive is about the instance whose skips it runs.
    ...(claim && { job: claim.job, instance: claim.redrives?.instance ?? claim.instance }),
    source: `${runId}/${asked === 'cancel' ? asked : asked.update}`,
  };
  await ledger.transaction(async (transaction) => {
    const other = claim && refuseOther(claim, await readLedger(transaction));
    if (other) throw other;
    await enterChange(transaction, entry);
  });
}

/**
 * What is to be entered of the start of a run; undefined for one that goes on with a new history, or is a part of another
 * workflow, whose start is the one that somebody made.
 */
export async function startOf(
  auditing: Pick<Auditing, 'askedBy'>,
  { job, workflowId, runId, carried, started }: OpenJobRequest,
): Promise<RunStart | undefined> {
  if (carried || !started || started.parent !== undefined) return undefined;
  const author = await authorOf(auditing, started, { workflowId, runId });
  return { ...author, job, workflowId, runId, source: `${runId}/start` };
}

/** What is to be entered of a verification that repairs. */
export async function repairOf(
  auditing: Pick<Auditing, 'askedBy'>,
  { claim, started, firstRunId }: VerificationRequest,
): Promise<RunStart> {
  const at = Context.current().info.workflowExecution ?? { workflowId: '', runId: '' };
  const { workflowId } = at;
  // However many runs it takes, somebody has asked once.
  const runId = firstRunId ?? at.runId;
  const author = await authorOf(auditing, started, { workflowId, runId });
  return { ...author, job: claim.job, workflowId, runId, source: `${runId}/repair` };
}

/** Who has started a workflow, and why: as he has said, or whom Temporal knows as the sender. */
export async function authorOf(
  { askedBy }: Pick<Auditing, 'askedBy'>,
  started: StartedBy | undefined,
  run: Pick<Request, 'workflowId' | 'runId'>,
): Promise<Authorship> {
  const by = started?.by ?? (await senderOf(askedBy, { ...run, asked: 'start' }));
  return { by, reason: started?.reason };
}

/** Who has sent a request that nobody has signed. */
async function senderOf(askedBy: AskedBy, request: Request): Promise<ChangedBy> {
  return { operator: (await askedBy(request)) ?? unknownOperator, from: 'temporal' };
}
