/** The flow of tableSync, to be exported by a project's workflows, and that of a sync of one's own. */
export { tableSync } from './table-sync/workflow.ts';
export { syncFlow } from './table-sync/sync-flow.ts';
