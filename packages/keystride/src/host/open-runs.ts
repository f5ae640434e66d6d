import { Client, type ConnectionLike, WorkflowNotFoundError } from '@temporalio/client';
import { failure } from '../contract/errors.ts';
import type { IsOpen } from '../ledger/claim.ts';

interface Asking {
  readonly connection: ConnectionLike;
  readonly namespace: string;
  /** Namespaces that are gone, whose runs have ended with them. */
  readonly formerNamespaces: readonly string[];
}

/**
 * Asks Temporal whether a workflow id has an open run. An id that it no longer knows has none.
 *
 * @returns what throws JobExecutionAlreadyRunning for a run in another namespace that cannot be asked, since it may be at
 * work, and Unavailable where the worker's own cannot.
 */
export function openRuns({ connection, namespace: own, formerNamespaces }: Asking): IsOpen {
  return async (workflowId, namespace) => {
    const isElsewhere = namespace !== null && namespace !== own;
    if (isElsewhere && formerNamespaces.includes(namespace)) return false;
    try {
      const client = new Client({ connection, namespace: namespace ?? own });
      const { status } = await client.workflow.getHandle(workflowId).describe();
      return status.name === 'RUNNING' || status.name === 'PAUSED';
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      if (isElsewhere)
        throw failure(
          'JobExecutionAlreadyRunning',
          `${workflowId} is running in namespace ${namespace} of Temporal, as far as the ledger knows, and nobody here (${own}) ` +
            'can ask that namespace. Stop it there; if that namespace is gone for good, name it in ' +
            `KEYSTRIDE_FORMER_NAMESPACES=${namespace} of the workers, and start again.`,
        );
      throw failure('Unavailable', `Temporal could not be asked whether ${workflowId} is running.`, {
        retryable: true,
      });
    }
  };
}
