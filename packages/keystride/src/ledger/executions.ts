import { sql } from 'kysely';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';

/** An instance or a redrive of it that the ledger believes to run. */
export interface RunningExecution {
  readonly instance: string;
  readonly workflowId: string;
}

/** An instance, and the workflow that has claimed it last. */
export interface ClaimedInstance extends RunningExecution {
  readonly job: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/**
 * The key of the instance that is called so, or that the workflow of that id ran last. A redrive leads to the instance
 * whose skips it ran.
 */
export async function findOriginalKey(ledger: Asked, id: string): Promise<string | undefined> {
  const [found] = await ledger.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select(sql<string>`coalesce(redrives, instance_key)`.as('instance'))
      .where((row) => row.or([row('instance_key', '=', id), row('owner_workflow_id', '=', id)]))
      .orderBy(sql`instance_key = ${id}`, 'desc')
      .orderBy('opened_at', 'desc')
      .limit(1),
  );
  return found?.instance;
}

/** The instance of a run: by its key, or, of a run that has told none, by the workflow that claimed it. */
export async function findClaimed(
  ledger: Asked,
  { instance, workflowId }: { readonly instance: string | null; readonly workflowId: string },
): Promise<ClaimedInstance | undefined> {
  const [row] = await ledger.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select(['job', 'instance_key', 'params', 'owner_workflow_id'])
      .where((which) =>
        instance === null
          ? which('owner_workflow_id', '=', workflowId)
          : which('instance_key', '=', instance),
      )
      .orderBy('opened_at', 'desc')
      .limit(1),
  );
  return (
    row && {
      job: row.job,
      instance: row.instance_key,
      parameters: row.params as Readonly<Record<string, unknown>>,
      workflowId: row.owner_workflow_id,
    }
  );
}

/** The instance and its redrives, as far as the ledger believes them to run. */
export async function runningExecutions(ledger: Asked, instance: string): Promise<RunningExecution[]> {
  return ledger.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select(['instance_key as instance', 'owner_workflow_id as workflowId'])
      .where('status', '=', 'running')
      .where((row) => row.or([row('instance_key', '=', instance), row('redrives', '=', instance)])),
  );
}

/** How many redrives of an instance there have been. */
export async function countRedrives(ledger: Asked, instance: string): Promise<number> {
  const [earlier] = await ledger.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select(sql<string>`count(*)`.as('redrives'))
      .where('redrives', '=', instance),
  );
  return Number(earlier?.redrives ?? 0);
}

/** Takes all that is known of an instance out of the ledger: its next run is its first. */
export async function forgetInstance(ledger: Asked, instance: string): Promise<void> {
  await ledger.run(ledgerSql.deleteFrom('keystride.instance').where('instance_key', '=', instance));
}
