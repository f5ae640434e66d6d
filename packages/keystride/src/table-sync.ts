/**
 * A table kept equal to one of another database: the work of the ready job tableSync, and its parts for a sync of one's own.
 * Its contract is in `keystride/table-sync/contract`, its flow in `keystride/table-sync/workflow`.
 */
export { tableSyncSteps } from './table-sync/index.ts';
export { comparable } from './table-sync/compare.ts';
export { upsertSink } from './table-sync/sink.ts';
export { syncSource, syncSteps } from './table-sync/steps.ts';
