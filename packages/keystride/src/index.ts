/**
 * Durable batch jobs on Temporal: what a job is made of. Contracts and the work of steps import this; a flow, which runs
 * in Temporal's sandbox, imports `keystride/workflow` and of this only types.
 */
export {
  defineJob,
  type InputOf,
  type JobDefinition,
  type ParametersOf,
  type StepPolicies,
} from './contract/job.ts';
export { sensitive } from './contract/sensitive.ts';
export {
  chunkStep,
  taskletStep,
  verificationStep,
  type ChunkPolicy,
  type TaskletPolicy,
  type VerificationPolicy,
  type StepPolicy,
  type RetryPolicy,
  type SkipPolicy,
} from './contract/policy.ts';
export type { JobProgress, StepProgress } from './contract/progress.ts';
export { failure, ToldError } from './contract/errors.ts';
export type { Classifier, ErrorClass } from './contract/classification.ts';
export { cursorOf, type Cursor } from './contract/cursor.ts';
export type { Reader, RangeReader, RowRange } from './contract/reader.ts';
export type { ComparedPage, Difference } from './contract/verification.ts';
export { OvertakenWrite, type WriteAttempt } from './contract/write-attempt.ts';
export {
  chunks,
  sets,
  SkipItem,
  type AnyChunkWork,
  type AnySetWork,
  type RefusedRow,
  type SetAside,
  type StepContext,
} from './job/chunks.ts';
export { registerJob, type RegisteredJob, type StepsOf, type VerificationWork } from './job/registry.ts';
export type { Skip } from './ledger/skips.ts';
export { faultPoint } from './page/fault-points.ts';
export { parseExactly } from './stores/json/exact-json.ts';
export { listReader } from './stores/list/list-reader.ts';
