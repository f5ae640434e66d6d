import { DefaultFailureConverter } from '@temporalio/common';

/**
 * Converts failures, for client, worker and workflows. Temporal's SDK loads it by its path.
 *
 * With encryption, messages and stacks stand where the codec encrypts them. The sandbox of workflows has no environment
 * and one bundle serves both cases: the process that loads this file says so by a global variable.
 */
export const failureConverter = new DefaultFailureConverter({
  encodeCommonAttributes:
    (globalThis as { keystrideEncodesFailures?: boolean }).keystrideEncodesFailures === true,
});
