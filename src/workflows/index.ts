/** The entry of the workflow bundle: what is exported here is a workflow type. */
export { documentMigration } from './document-migration.ts';
export { partition } from './partition.ts';
export { redrive } from './redrive.ts';
export { targetSync } from './target-sync.ts';
export { verification } from './verification.ts';
