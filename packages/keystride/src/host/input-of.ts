import type { Client } from '@temporalio/client';
import { decodeFromPayloadsAtIndex } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { InputOf } from '../operations/sensitive-values.ts';
import { failure } from '../contract/errors.ts';

/** Codes of gRPC: the run, or the namespace that it was in, is not there. */
const notFound = 5;

/** Asks Temporal what a run was started with: the first of its events has it. */
export function inputOf(client: Client): InputOf {
  return async (workflowId, runId) => {
    const { namespace, loadedDataConverter } = client.options;
    try {
      const { history } = await client.workflowService.getWorkflowExecutionHistory({
        ...{ namespace, maximumPageSize: 1, execution: { workflowId, runId } },
      });
      const started = history?.events?.[0]?.workflowExecutionStartedEventAttributes;
      return await decodeFromPayloadsAtIndex<unknown>(loadedDataConverter, 0, started?.input?.payloads);
    } catch (error) {
      const { code } = error as { readonly code?: unknown };
      if (code === notFound) return undefined;
      if (typeof code !== 'number') throw error;
      throw failure('Unavailable', `Temporal could not be asked what ${workflowId} was started with.`, {
        retryable: true,
      });
    }
  };
}
