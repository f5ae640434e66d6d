/**
 * The workflows that the engine needs beside those of the jobs: a project's entry says
 * `export * from 'keystride/workflows'`.
 */
export { alert } from './workflows/alert.ts';
export { partition } from './workflow/partition.ts';
export { prune } from './workflows/prune.ts';
export { redrive } from './workflows/redrive.ts';
export { scheduledJob } from './workflows/scheduled-job.ts';
export { verification } from './workflows/verification.ts';
