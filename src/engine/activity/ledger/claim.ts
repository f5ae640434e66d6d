import type pg from 'pg';
import { sql } from 'kysely';
import type { Claim, JobOutcome, OpenJobRequest } from '../../../contract/activities.ts';
import { failure } from '../../../contract/errors.ts';
import { migration } from '../../../stores/postgres/sql.ts';
import { type Transaction, inTransaction } from '../../../stores/postgres/transaction.ts';
import { keystride, shellWord } from '../../../contract/shell.ts';

/** Whether Temporal has an open run under that workflow id. It throws when Temporal cannot be asked. */
export type IsOpen = (workflowId: string) => Promise<boolean>;

interface ClaimRequest extends Pick<OpenJobRequest, 'job' | 'workflowId' | 'runId' | 'carried'> {
  readonly instance: string;
  /** Refuses an instance that an earlier execution has left unfinished. */
  readonly preventRestart: boolean;
  readonly parameters: Readonly<Record<string, unknown>>;
}

interface Owner {
  readonly epoch: number;
  readonly workflowId: string;
  readonly runId: string;
  readonly status: string;
}

/**
 * Takes the instance for this execution and shuts out every earlier one by raising the epoch.
 *
 * The claim is decided by a compare-and-set on the epoch that was read, so of any number of executions that start
 * at once exactly one wins; the others read again and find it running. Asked again by the same run (an activity
 * retried) it answers the same; a run that was continued as new keeps the claim it carries.
 *
 * @throws JobExecutionAlreadyRunning, JobInstanceAlreadyComplete, JobRestartRefused, Fenced (a carried claim that was lost).
 */
export async function claimInstance(pool: pg.Pool, request: ClaimRequest, isOpen: IsOpen): Promise<Claim> {
  const claim = (epoch: number): Claim => ({ job: request.job, instance: request.instance, epoch });
  for (;;) {
    const owner = await readOwner(pool, request.instance);
    if (owner === undefined) {
      if (await insertInstance(pool, request)) return claim(1);
      continue;
    }
    if (request.carried) return carriedClaim(request.carried, owner);
    if (owner.workflowId === request.workflowId && owner.runId === request.runId) return claim(owner.epoch);
    if (owner.status === 'completed') throw alreadyComplete(request.instance);
    if (
      owner.workflowId !== request.workflowId &&
      owner.status === 'running' &&
      (await isOpen(owner.workflowId))
    ) {
      throw alreadyRunning(request.instance, owner.workflowId);
    }
    if (request.preventRestart) throw restartRefused(request.instance, owner.status);
    if (await takeOver(pool, request, owner.epoch)) return claim(owner.epoch + 1);
  }
}

async function readOwner(pool: pg.Pool, instance: string): Promise<Owner | undefined> {
  const query = migration
    .selectFrom('keystride.instance')
    .select(['epoch', 'owner_workflow_id', 'owner_run_id', 'status'])
    .where('instance_key', '=', instance);
  const [row] = await inTransaction(pool, (transaction) => transaction.run(query));
  return (
    row && {
      epoch: Number(row.epoch),
      workflowId: row.owner_workflow_id,
      runId: row.owner_run_id,
      status: row.status,
    }
  );
}

async function insertInstance(pool: pg.Pool, request: ClaimRequest): Promise<boolean> {
  const query = migration
    .insertInto('keystride.instance')
    .values({
      instance_key: request.instance,
      job: request.job,
      params: JSON.stringify(request.parameters),
      epoch: 1,
      owner_workflow_id: request.workflowId,
      owner_run_id: request.runId,
      status: 'running',
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('epoch');
  return (await inTransaction(pool, (transaction) => transaction.run(query))).length === 1;
}

/** Raises the epoch from the one that was read, on the instance and on all its checkpoints, or does nothing. */
function takeOver(pool: pg.Pool, request: ClaimRequest, epoch: number): Promise<boolean> {
  return inTransaction(pool, async (transaction) => {
    const raised = await transaction.run(
      migration
        .updateTable('keystride.instance')
        .set({
          epoch: epoch + 1,
          params: JSON.stringify(request.parameters),
          owner_workflow_id: request.workflowId,
          owner_run_id: request.runId,
          status: 'running',
          closed_at: null,
        })
        .where('instance_key', '=', request.instance)
        .where('epoch', '=', String(epoch))
        .where('status', '<>', 'completed')
        .returning('epoch'),
    );
    if (raised.length === 0) return false;
    await transaction.run(
      migration
        .updateTable('keystride.checkpoint')
        .set({ epoch: epoch + 1 })
        .where('instance_key', '=', request.instance),
    );
    return true;
  });
}

function carriedClaim(carried: Claim, owner: Owner): Claim {
  if (carried.epoch === owner.epoch) return carried;
  throw fenced(carried);
}

/**
 * Holds the instance's row until the transaction ends, so that it cannot be claimed meanwhile.
 *
 * @throws Fenced when a later execution has claimed it already.
 */
export async function holdClaim(transaction: Transaction, claim: Claim): Promise<void> {
  const [held] = await transaction.run(
    migration
      .selectFrom('keystride.instance')
      .select('status')
      .where('instance_key', '=', claim.instance)
      .where('epoch', '=', String(claim.epoch))
      .forShare(),
  );
  if (!held) throw fenced(claim);
  if (held.status !== 'running') await reopenInstance(transaction, claim);
}

/**
 * Notes that an execution which has failed or was stopped goes on under the claim it had: its history was reset to a
 * moment after the claim. From here on it runs for everybody, as after a claim.
 */
export async function reopenInstance(transaction: Transaction, claim: Claim): Promise<void> {
  await transaction.run(
    migration
      .updateTable('keystride.instance')
      .set({ status: 'running', closed_at: null })
      .where('instance_key', '=', claim.instance)
      .where('epoch', '=', String(claim.epoch))
      .where('status', 'in', ['failed', 'stopped']),
  );
}

/**
 * Holds the row of an instance that nobody works on until the transaction ends, so that it cannot be claimed meanwhile.
 *
 * @returns the epoch of the execution that was the last to work on it.
 * @throws RepairRefused while it runs, and for an instance that has never run.
 */
export async function holdInstanceAtRest(transaction: Transaction, instance: string): Promise<number> {
  const [row] = await transaction.run(
    migration
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
export async function closeInstance(pool: pg.Pool, claim: Claim, outcome: JobOutcome): Promise<void> {
  const query = migration
    .updateTable('keystride.instance')
    .set({ status: outcome, closed_at: sql<string>`now()` })
    .where('instance_key', '=', claim.instance)
    .where('epoch', '=', String(claim.epoch))
    .where('status', 'not in', ['completed', outcome]);
  await inTransaction(pool, (transaction) => transaction.run(query));
}

/** The failure of an execution whose instance a later one has claimed. */
export function fenced(claim: Claim) {
  return failure(
    'Fenced',
    `${claim.instance} has been claimed by a later execution; this one (epoch ${claim.epoch}) commits nothing more.`,
  );
}

function alreadyComplete(instance: string) {
  return failure(
    'JobInstanceAlreadyComplete',
    `${instance} has completed. Start it with another identifying parameter to run it again.`,
  );
}

function restartRefused(instance: string, status: string) {
  return failure(
    'JobRestartRefused',
    `${instance} has been started before (${status}), and its job must not be restarted. Look at what it has done, and start it with another identifying parameter.`,
  );
}

/** The failure of a start while the instance, or what works on its skips, runs. */
export function alreadyRunning(instance: string, workflowId: string) {
  return failure(
    'JobExecutionAlreadyRunning',
    `${instance} is running already, as workflow ${workflowId}. See: ${keystride} status ${shellWord(workflowId)}`,
  );
}
