/** The entry of the workflow bundle: what is exported here is a workflow type. */
export { alert } from '../../packages/keystride/src/workflows/alert.ts';
export { couponExchange } from './coupon-exchange.ts';
export { documentMigration } from './document-migration.ts';
export { evenNumbers } from './even-numbers.ts';
export { medicationHistory } from './medication-history.ts';
export { partition } from '../../packages/keystride/src/workflows/partition.ts';
export { pointSettlement } from './point-settlement.ts';
export { purchaseConfirmation } from './purchase-confirmation.ts';
export { redrive } from '../../packages/keystride/src/workflows/redrive.ts';
export { scheduledJob } from '../../packages/keystride/src/workflows/scheduled-job.ts';
export { tableSync } from '../../packages/keystride/src/table-sync/workflow.ts';
export { targetSync } from './target-sync.ts';
export { verification } from '../../packages/keystride/src/workflows/verification.ts';
