import { documentMigration } from '../contract/document-migration.ts';
import { targetSync } from '../contract/target-sync.ts';
import { type RegisteredJob, registerJob } from '../engine/activity/registry.ts';
import { documentMigrationSteps } from './document-migration/index.ts';
import type { Resources } from './resources.ts';
import { targetSyncSteps } from './target-sync.ts';

/** Every job with the work behind its steps. */
export function createJobs(resources: Resources): RegisteredJob[] {
  return [
    registerJob(targetSync, targetSyncSteps(resources)),
    registerJob(documentMigration, documentMigrationSteps(resources)),
  ];
}
