/** The entry of the workflow bundle: what is exported here is a workflow type. */
export { alert } from './alert.ts';
export { couponExchange } from './coupon-exchange.ts';
export { documentMigration } from './document-migration.ts';
export { evenNumbers } from './even-numbers.ts';
export { medicationHistory } from './medication-history.ts';
export { partition } from './partition.ts';
export { pointSettlement } from './point-settlement.ts';
export { purchaseConfirmation } from './purchase-confirmation.ts';
export { redrive } from './redrive.ts';
export { scheduledJob } from './scheduled-job.ts';
export { tableSync } from './table-sync.ts';
export { targetSync } from './target-sync.ts';
export { verification } from './verification.ts';
