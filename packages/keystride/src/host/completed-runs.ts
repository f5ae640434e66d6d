import type { Client } from '@temporalio/client';
import { failure } from '../contract/errors.ts';
import type { JobProgress } from '../contract/progress.ts';
import type { HasCompleted } from '../operations/open-job.ts';
import { quoted } from './query-text.ts';

/** Runs of an id that are looked at, the last ones: of a job that must not be restarted there are few. */
const mostRuns = 20;

/**
 * Asks Temporal whether a run of a workflow id has completed, as far as its history is kept. A run that was stopped has
 * ended there without a failure too; its report tells.
 *
 * @returns what throws Unavailable where Temporal cannot be asked.
 */
export function completedRuns(client: Client): HasCompleted {
  return async (job, workflowId) => {
    const query = `WorkflowId = ${quoted(workflowId)} AND WorkflowType = ${quoted(job)} AND ExecutionStatus = 'Completed'`;
    try {
      let looked = 0;
      for await (const { runId } of client.workflow.list({ query, pageSize: mostRuns })) {
        const handle = client.workflow.getHandle<() => Promise<Partial<JobProgress> | null>>(
          workflowId,
          runId,
        );
        const report = await handle.result();
        if (report?.status === 'completed' || report?.status === 'completedWithSkips') return true;
        if ((looked += 1) === mostRuns) break;
      }
      return false;
    } catch {
      throw failure(
        'Unavailable',
        `Temporal could not be asked whether ${workflowId} has completed before.`,
        {
          retryable: true,
        },
      );
    }
  };
}
