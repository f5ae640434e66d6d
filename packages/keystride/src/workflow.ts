/** What the flow of a job is written with. It runs in Temporal's sandbox: it imports this, and types. */
export { runJob } from './workflow/run-job.ts';
export type { JobFlow, StepReport } from './workflow/job-flow.ts';
export type { JobWorkflow } from './workflow/nested-job.ts';
export type { InputOf } from './contract/job.ts';
export type { JobProgress } from './contract/progress.ts';
