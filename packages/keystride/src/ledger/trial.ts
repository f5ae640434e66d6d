import type { Transaction } from '../stores/postgres/transaction.ts';

/** What a tasklet has returned. */
export interface TaskletResult {
  readonly instance: string;
  readonly step: string;
  readonly result: unknown;
}

/** Lets a tasklet that is only tried find its instance, as in a run. */
export async function knowInstance(transaction: Transaction, job: string, instance: string): Promise<void> {
  await transaction.query(
    `INSERT INTO keystride.instance (instance_key, job, params, epoch, owner_workflow_id, owner_run_id, status)
     VALUES ($1, $2, '{}', 1, 'plan', 'plan', 'stopped') ON CONFLICT DO NOTHING`,
    [instance, job],
  );
}

/** Whether a tasklet is only tried: what it writes elsewhere would stay. */
export async function isTried(transaction: Transaction, instance: string): Promise<boolean> {
  const { rows } = await transaction.query<{ status: string }>(
    'SELECT status FROM keystride.instance WHERE instance_key = $1',
    [instance],
  );
  return rows[0]?.status !== 'running';
}

/** Leaves the result of a tasklet that is only tried where later steps look for it. */
export async function keepResult(
  transaction: Transaction,
  { instance, step, result }: TaskletResult,
): Promise<void> {
  await transaction.query(
    `INSERT INTO keystride.step (instance_key, step, status, epoch, result) VALUES ($1, $2, 'completed', 1, $3)
     ON CONFLICT (instance_key, step) DO UPDATE SET status = 'completed', result = excluded.result`,
    [instance, step, JSON.stringify(result ?? null)],
  );
}
