import { sleep } from '@temporalio/workflow';

/** Whether a child could not be started because another run has its workflow id. */
export function isTaken(error: unknown): boolean {
  return error instanceof Error && error.name === 'WorkflowExecutionAlreadyStartedError';
}

/**
 * Starts a child whose predecessor, of an execution that was terminated, may still be closing under the same id: it is
 * tried again, a second later each time.
 *
 * @param most how often it is tried.
 * @param taken what is thrown when the id has not become free.
 * @throws what the child has thrown.
 */
export async function startedChild<Result>(
  most: number,
  start: () => Promise<Result>,
  taken: (error: unknown) => unknown = (error) => error,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (!isTaken(error)) throw error;
      if (attempt >= most) throw taken(error);
    }
    await sleep('1 second');
  }
}
