/** HTTP APIs: calls that find their own concurrency, and the errors that skips and retries are decided by. */
export { CallLimiter, type CallTurn, type ShareCalls } from './stores/http/call-limiter.ts';
export {
  baseOf,
  boundedCall,
  createAgent,
  pathSegment,
  statusError,
  type Response,
} from './stores/http/calls.ts';
export { asUtf8 } from './stores/http/charset.ts';
export { HttpStatusError, MalformedBody, retryAfter, Unacceptable } from './stores/http/errors.ts';
export { classifyInProgress, IdempotentApi } from './stores/http/idempotent-api.ts';
export { pagedReader } from './stores/http/paged-reader.ts';
export { sharedCalls } from './ledger/call-budget.ts';
