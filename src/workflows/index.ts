/** The entry of the workflow bundle: what is exported here is a workflow type. */
export * from 'keystride/workflows';
export { tableSync } from 'keystride/table-sync/workflow';
export { couponExchange } from './coupon-exchange.ts';
export { documentMigration } from './document-migration.ts';
export { evenNumbers } from './even-numbers.ts';
export { medicationHistory } from './medication-history.ts';
export { pointSettlement } from './point-settlement.ts';
export { purchaseConfirmation } from './purchase-confirmation.ts';
export { targetSync } from './target-sync.ts';
