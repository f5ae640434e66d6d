import { sql } from 'kysely';
import type { Claim } from '../contract/claim.ts';
import type { JobOutcome, OpenJobRequest } from '../contract/activities.ts';
import type { SeenStep } from '../contract/step-activities.ts';
import { failure } from '../contract/errors.ts';
import { enterChange, type RunStart } from './audit.ts';
import { ledgerSql } from './schema.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { keystride, shellWord } from '../contract/shell.ts';
import {
  alreadyComplete,
  claimLost,
  fenced,
  type Holder,
  holderOf,
  isHeldBy,
  ledgerBehind,
  ledgerIdentity,
  refuseOther,
} from './hold-claim.ts';
import { refuseOtherProject } from './project.ts';
import { lostSteps } from './seen-steps.ts';
import type { Ledger } from './ledger.ts';

/**
 * Whether Temporal has an open run under that workflow id, in that namespace; null for the worker's own. It throws when
 * that cannot be asked.
 */
export type IsOpen = (workflowId: string, namespace: string | null) => Promise<boolean>;

interface ClaimRequest extends Pick<OpenJobRequest, 'job' | 'workflowId' | 'runId' | 'carried'> {
  readonly instance: string;
  /** Of Temporal, that the run is in. */
  readonly namespace?: string | undefined;
  /** Refuses an instance that an earlier execution has left unfinished. */
  readonly preventRestart: boolean;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** The highest epoch that other stores have seen of the instance: a new one is above it. @default 0 */
  readonly seenElsewhere?: number;
  /** Entered in the audit with the claim; undefined for what is no start that somebody has made. */
  readonly start?: RunStart;
}

interface Owner extends Holder {
  readonly runId: string;
  readonly namespace: string | null;
  readonly project: string | null;
  readonly status: string;
}

/**
 * Takes the instance for this execution and shuts out every earlier one by raising the epoch.
 *
 * The claim is decided by a compare-and-set on the epoch that was read, so of any number of executions that start
 * at once exactly one wins; the others read again and find it running. Asked again by the same run (an activity
 * retried) it answers the same; a run that was continued as new keeps the claim it carries, or claims anew, above it,
 * in a ledger that has gone back behind it.
 *
 * @throws JobExecutionAlreadyRunning, JobInstanceAlreadyComplete, JobRestartRefused, Fenced (a carried claim that was
 * lost), LedgerBehind, OtherLedger, OtherProject.
 */
export async function claimInstance(ledger: Ledger, request: ClaimRequest, isOpen: IsOpen): Promise<Claim> {
  const { job, instance, carried, workflowId, seenElsewhere = 0 } = request;
  const least = Math.max(carried?.epoch ?? 0, seenElsewhere) + 1;
  for (;;) {
    const { owner, identity } = await readOwner(ledger, instance);
    const claim = (epoch: number): Claim => ({
      ...(carried ?? { job, instance }),
      ...{ epoch, owner: workflowId, ledger: identity },
    });
    if (owner && owner.workflowId === workflowId && owner.runId === request.runId) return claim(owner.epoch);
    if (carried) {
      if (holdsStill(carried, owner, identity)) return carried;
      refuseAgain(request, carried, owner);
    }
    if (owner === undefined) {
      if (await insertInstance(ledger, request, least)) return claim(least);
      continue;
    }
    refuseOtherProject(ledger.project, instance, owner.project);
    if (owner.status === 'completed') throw alreadyComplete(instance);
    const isAnother =
      owner.workflowId !== workflowId || (owner.namespace ?? request.namespace) !== request.namespace;
    if (isAnother && owner.status === 'running' && (await isOpen(owner.workflowId, owner.namespace))) {
      throw alreadyRunning(instance, owner.workflowId, owner.namespace);
    }
    if (request.preventRestart) throw restartRefused(instance, owner.status);
    const next = Math.max(owner.epoch + 1, least);
    if (await takeOver(ledger, request, owner, next)) return claim(next);
  }
}

/**
 * Whether a continued run has its claim still; false in a ledger that has gone back behind it.
 *
 * @throws Fenced, OtherLedger.
 */
function holdsStill(carried: Claim, owner: Owner | undefined, identity: string): boolean {
  const other = refuseOther(carried, identity);
  if (other) throw other;
  if (owner && isHeldBy(carried, owner)) return true;
  if (owner && owner.epoch >= carried.epoch) throw fenced(carried, owner.workflowId);
  return false;
}

/** What may not be run again is not claimed again either; and a redrive is nothing without the skips that it has taken. */
function refuseAgain({ preventRestart }: ClaimRequest, carried: Claim, owner: Owner | undefined): void {
  if (!preventRestart && !carried.redrives) return;
  const what = owner ? `it stands at epoch ${owner.epoch} there` : 'it knows nothing of it';
  const todo = carried.redrives
    ? `Redrive again: ${keystride} skips ${shellWord(carried.redrives.instance)} redrive`
    : 'Its job must not be restarted: look at what it has done';
  throw ledgerBehind(carried.instance, `${what}, though epoch ${carried.epoch} has claimed it`, todo);
}

async function readOwner(
  ledger: Ledger,
  instance: string,
): Promise<{ readonly owner: Owner | undefined; readonly identity: string }> {
  const query = ledgerSql
    .selectFrom('keystride.ledger')
    .leftJoin('keystride.instance', (join) => join.on('instance_key', '=', instance))
    .select([
      'epoch',
      'owner_workflow_id',
      'owner_run_id',
      'owner_namespace',
      'project',
      'status',
      ledgerIdentity.as('ledger'),
    ]);
  const [row] = await ledger.run(query);
  const identity = row?.ledger ?? '';
  if (!row || row.epoch === null) return { owner: undefined, identity };
  const owner: Owner = {
    epoch: Number(row.epoch),
    workflowId: row.owner_workflow_id ?? '',
    runId: row.owner_run_id ?? '',
    namespace: row.owner_namespace,
    project: row.project,
    status: row.status ?? '',
    ledger: identity,
  };
  return { owner, identity };
}

async function insertInstance(ledger: Ledger, request: ClaimRequest, epoch: number): Promise<boolean> {
  const query = ledgerSql
    .insertInto('keystride.instance')
    .values({
      instance_key: request.instance,
      job: request.job,
      params: JSON.stringify(request.parameters),
      epoch,
      owner_workflow_id: request.workflowId,
      owner_run_id: request.runId,
      owner_namespace: request.namespace ?? null,
      project: ledger.project.name ?? null,
      status: 'running',
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('epoch');
  return ledger.transaction(async (transaction) => {
    if ((await transaction.run(query)).length === 0) return false;
    await enterStart(transaction, request);
    return true;
  });
}

async function enterStart(transaction: Transaction, request: ClaimRequest, owner?: Owner): Promise<void> {
  const { start, instance } = request;
  if (!start) return;
  const before = owner ? { status: owner.status } : {};
  await enterChange(transaction, {
    ...start,
    action: 'start',
    instance,
    before,
    after: { status: 'running' },
  });
}

/** Raises the epoch from the one that was read, on the instance and on all its checkpoints, or does nothing. */
function takeOver(ledger: Ledger, request: ClaimRequest, owner: Owner, next: number): Promise<boolean> {
  const { name = owner.project } = ledger.project;
  return ledger.transaction(async (transaction) => {
    const raised = await transaction.run(
      ledgerSql
        .updateTable('keystride.instance')
        .set({
          epoch: next,
          params: JSON.stringify(request.parameters),
          owner_workflow_id: request.workflowId,
          owner_run_id: request.runId,
          owner_namespace: request.namespace ?? null,
          project: name,
          status: 'running',
          opened_at: sql<string>`now()`,
          closed_at: null,
        })
        .where('instance_key', '=', request.instance)
        .where('epoch', '=', String(owner.epoch))
        .where('status', '<>', 'completed')
        .returning('epoch'),
    );
    if (raised.length === 0) return false;
    await transaction.run(
      ledgerSql
        .updateTable('keystride.checkpoint')
        .set({ epoch: next })
        .where('instance_key', '=', request.instance),
    );
    await enterStart(transaction, request, owner);
    return true;
  });
}

/**
 * Holds the row of an instance that nobody works on until the transaction ends, so that it cannot be claimed meanwhile.
 *
 * @returns the epoch of the execution that was the last to work on it.
 * @throws RepairRefused while it runs, and for an instance that has never run.
 */
export async function holdInstanceAtRest(transaction: Transaction, instance: string): Promise<number> {
  const [row] = await transaction.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select(['status', 'epoch'])
      .where('instance_key', '=', instance)
      .forShare(),
  );
  if (row && row.status !== 'running') return Number(row.epoch);
  throw failure(
    'RepairRefused',
    row
      ? `${instance} is running: stop it, or wait for its end, and repair what is left then.`
      : `${instance} has never run: there is nothing of it to repair. Start it.`,
  );
}

/**
 * Records how the execution ended. Doing it again changes nothing; after a later claim it does nothing, nor once the
 * instance has completed. A run that was reset after it had failed may end otherwise the second time.
 */
export async function closeInstance(ledger: Ledger, claim: Claim, outcome: JobOutcome): Promise<void> {
  await ledger.transaction(async (transaction) => {
    const holder = await lockInstance(transaction, claim.instance);
    if (holder && isHeldBy(claim, holder)) await setOutcome(transaction, claim, outcome);
  });
}

/**
 * Records that the execution has completed, if the ledger holds what its run saw completed.
 *
 * @returns what the ledger has lost and can be done again, in words; empty when the instance is closed.
 * @throws Fenced, LedgerBehind (the claim is lost, or what is there differs), OtherLedger.
 */
export async function completeInstance(
  ledger: Ledger,
  claim: Claim,
  saw: readonly SeenStep[],
): Promise<readonly string[]> {
  return ledger.transaction(async (transaction) => {
    const holder = await lockInstance(transaction, claim.instance);
    if (!holder || !isHeldBy(claim, holder)) throw await claimLost(transaction, claim);
    const behind = await lostSteps(transaction, claim, saw);
    if (behind.length === 0) await setOutcome(transaction, claim, 'completed');
    return behind;
  });
}

async function lockInstance(transaction: Transaction, instance: string): Promise<Holder | undefined> {
  const [row] = await transaction.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select(['epoch', 'owner_workflow_id', ledgerIdentity.as('ledger')])
      .where('instance_key', '=', instance)
      .forUpdate(),
  );
  return row && holderOf(row);
}

async function setOutcome(transaction: Transaction, claim: Claim, outcome: JobOutcome): Promise<void> {
  await transaction.run(
    ledgerSql
      .updateTable('keystride.instance')
      .set({ status: outcome, closed_at: sql<string>`now()` })
      .where('instance_key', '=', claim.instance)
      .where('status', 'not in', ['completed', outcome]),
  );
}

function restartRefused(instance: string, status: string) {
  return failure(
    'JobRestartRefused',
    `${instance} has been started before (${status}), and its job must not be restarted. Look at what it has done, and start it with another identifying parameter.`,
  );
}

/** The failure of a start while the instance, or what works on its skips, runs. */
export function alreadyRunning(instance: string, workflowId: string, namespace: string | null) {
  const where = namespace === null ? '' : ` of namespace ${namespace}`;
  return failure(
    'JobExecutionAlreadyRunning',
    `${instance} is running already, as workflow ${workflowId}${where}. See: ${keystride} status ${shellWord(workflowId)}`,
  );
}
