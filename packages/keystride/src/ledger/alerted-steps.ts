import type { AlertedStep } from '../contract/alerts.ts';
import { stepFiguresOf, stepFiguresQuery } from '../stores/postgres/step-figures.ts';
import type { Ledger } from './ledger.ts';

/** The steps of an instance that have begun, with what has committed of them, in the order of their beginning. */
export async function alertedSteps(ledger: Ledger, instance: string): Promise<AlertedStep[]> {
  const rows = await ledger.run(stepFiguresQuery(instance));
  return rows.map(stepFiguresOf);
}
