import { type RegisteredJob, registerJob } from 'keystride';
import { tableSyncSteps } from 'keystride/table-sync';
import { tableSync } from 'keystride/table-sync/contract';
import { couponExchange } from '../contract/coupon-exchange.ts';
import { documentMigration } from '../contract/document-migration.ts';
import { evenNumbers } from '../contract/even-numbers.ts';
import { medicationHistory } from '../contract/medication-history.ts';
import { pointSettlement } from '../contract/point-settlement.ts';
import { purchaseConfirmation } from '../contract/purchase-confirmation.ts';
import { targetSync } from '../contract/target-sync.ts';
import { couponExchangeSteps } from './coupon-exchange.ts';
import { documentMigrationSteps } from './document-migration/index.ts';
import { evenNumbersSteps } from './even-numbers.ts';
import { medicationHistorySteps } from './medication-history.ts';
import { pointSettlementSteps } from './point-settlement/index.ts';
import { purchaseConfirmationSteps } from './purchase-confirmation.ts';
import { defineWorker } from 'keystride/worker';
import { resources, type Resources } from '../resources.ts';
import { targetSyncSteps } from './target-sync.ts';

/** Every job with the work behind its steps. */
export function createJobs(opened: Resources): RegisteredJob[] {
  return [
    registerJob(evenNumbers, evenNumbersSteps()),
    registerJob(purchaseConfirmation, purchaseConfirmationSteps(opened)),
    registerJob(couponExchange, couponExchangeSteps(opened)),
    registerJob(medicationHistory, medicationHistorySteps(opened)),
    registerJob(pointSettlement, pointSettlementSteps(opened)),
    registerJob(targetSync, targetSyncSteps(opened)),
    registerJob(tableSync, tableSyncSteps({ source: opened.service, database: opened.database })),
    registerJob(documentMigration, documentMigrationSteps(opened)),
  ];
}

/** What the workers of this project work with. */
export default defineWorker({ resources, jobs: createJobs });
