/**
 * A table kept equal to one of another database: the ready job tableSync, and its parts for a sync of one's own. Its flow is
 * in `keystride/table-sync/workflow`.
 */
export { tableSync } from './table-sync/contract.ts';
export { tableSyncSteps } from './table-sync/index.ts';
export { comparable } from './table-sync/compare.ts';
export { upsertSink } from './table-sync/sink.ts';
export { syncSource, syncSteps } from './table-sync/steps.ts';
export { syncMode, syncParameters, syncPolicies, tuneSync, type SyncMode } from './contract/sync.ts';
