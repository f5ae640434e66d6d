import type { JobDefinition } from 'keystride';
import { tableSync } from 'keystride/table-sync/contract';
import { couponExchange } from './coupon-exchange.ts';
import { documentMigration } from './document-migration.ts';
import { evenNumbers } from './even-numbers.ts';
import { medicationHistory } from './medication-history.ts';
import { pointSettlement } from './point-settlement.ts';
import { purchaseConfirmation } from './purchase-confirmation.ts';
import { targetSync } from './target-sync.ts';

/** Every job, in the order of the catalogue. */
export const catalogue = [
  evenNumbers,
  purchaseConfirmation,
  couponExchange,
  medicationHistory,
  pointSettlement,
  targetSync,
  tableSync,
  documentMigration,
] satisfies JobDefinition[];

/** The job of that name, if there is one. */
export function findJob(name: string): JobDefinition | undefined {
  return catalogue.find((job) => job.name === name);
}
