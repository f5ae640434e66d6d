/**
 * What tableSync is called and takes, for a project's catalogue, and the parts of a contract for a sync of one's own. As a
 * contract does, this loads no client of a database: commands that only name jobs start at once.
 */
export { tableSync } from './table-sync/contract.ts';
export { syncMode, syncParameters, syncPolicies, policiesOfSync, type SyncMode } from './contract/sync.ts';
