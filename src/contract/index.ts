import type { JobDefinition } from './job.ts';
import { documentMigration } from './document-migration.ts';
import { targetSync } from './target-sync.ts';

/** Every job, in the order of the catalogue. */
export const catalogue = [targetSync, documentMigration] satisfies JobDefinition[];

/** The job of that name, if there is one. */
export function findJob(name: string): JobDefinition | undefined {
  return catalogue.find((job) => job.name === name);
}
