import { couponExchange } from '../contract/coupon-exchange.ts';
import { documentMigration } from '../contract/document-migration.ts';
import { evenNumbers } from '../contract/even-numbers.ts';
import { medicationHistory } from '../contract/medication-history.ts';
import { pointSettlement } from '../contract/point-settlement.ts';
import { purchaseConfirmation } from '../contract/purchase-confirmation.ts';
import { tableSync } from '../../packages/keystride/src/table-sync/contract.ts';
import { targetSync } from '../contract/target-sync.ts';
import { type RegisteredJob, registerJob } from '../../packages/keystride/src/job/registry.ts';
import { couponExchangeSteps } from './coupon-exchange.ts';
import { documentMigrationSteps } from './document-migration/index.ts';
import { evenNumbersSteps } from './even-numbers.ts';
import { medicationHistorySteps } from './medication-history.ts';
import { pointSettlementSteps } from './point-settlement/index.ts';
import { purchaseConfirmationSteps } from './purchase-confirmation.ts';
import type { Resources } from './resources.ts';
import { tableSyncSteps } from '../../packages/keystride/src/table-sync/index.ts';
import { targetSyncSteps } from './target-sync.ts';

/** Every job with the work behind its steps. */
export function createJobs(resources: Resources): RegisteredJob[] {
  return [
    registerJob(evenNumbers, evenNumbersSteps()),
    registerJob(purchaseConfirmation, purchaseConfirmationSteps(resources)),
    registerJob(couponExchange, couponExchangeSteps(resources)),
    registerJob(medicationHistory, medicationHistorySteps(resources)),
    registerJob(pointSettlement, pointSettlementSteps(resources)),
    registerJob(targetSync, targetSyncSteps(resources)),
    registerJob(tableSync, tableSyncSteps(resources)),
    registerJob(documentMigration, documentMigrationSteps(resources)),
  ];
}
