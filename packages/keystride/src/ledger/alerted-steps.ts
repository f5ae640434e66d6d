import type pg from 'pg';
import type { AlertedStep } from '../contract/alerts.ts';
import { stepFiguresOf, stepFiguresQuery } from '../stores/postgres/step-figures.ts';
import { inTransaction } from '../stores/postgres/transaction.ts';

/** The steps of an instance that have begun, with what has committed of them, in the order of their beginning. */
export async function alertedSteps(pool: pg.Pool, instance: string): Promise<AlertedStep[]> {
  const rows = await inTransaction(pool, (transaction) => transaction.run(stepFiguresQuery(instance)));
  return rows.map(stepFiguresOf);
}
