import type { OpenedStep, StepRequest } from '../contract/step-activities.ts';
import type { ChunkPolicy } from '../contract/policy.ts';
import type { StepProgress } from '../contract/progress.ts';
import { GateWait } from './gate-wait.ts';
import type { JobRun } from './job-run.ts';
import { ledgerWork } from './ledger-work.ts';
import { PartitionWindow } from './partition-window.ts';
import { PartitionsFailed } from './partitions-failed.ts';
import { StepPartitions } from './step-partitions.ts';
import type { StepReporter } from './step-reporter.ts';

/**
 * Runs what is left of a chunk step: its partitions, a window of them at a time, until all are done.
 *
 * Pausing, stopping and continuing as new are one thing here: the window's scope is cancelled, every partition commits
 * the chunk it has in hand and comes back, and `ready` decides whether another window is opened over what is left. A step
 * that is throttled comes to rest the same way, and waits for the gate to open.
 *
 * @throws PartitionsFailed after the other partitions have finished; LedgerBehind when they have come to rest; JobStopped,
 * JobYielded between windows.
 */
export async function runChunkStep(
  run: JobRun,
  request: StepRequest,
  policy: ChunkPolicy,
  opened: OpenedStep,
  reporter: StepReporter,
): Promise<Partial<StepProgress>> {
  const partitions = new StepPartitions(opened.partitions);
  const gate = new GateWait(run, request, policy.quietHours);
  for (;;) {
    while (partitions.left.size > 0) {
      await run.ready();
      const window = new PartitionWindow(run, request, policy, partitions, reporter);
      await window.run();
      if (window.behind) throw window.behind;
      if (window.failed.length > 0) throw new PartitionsFailed(window.failed);
      if (window.throttled) await gate.untilOpen(window.throttled);
    }
    const { counters, unread, unfinished = [] } = await ledgerWork.closeStep(request);
    if (unfinished.length === 0) return { ...counters, ...(unread === undefined ? {} : { unread }) };
    // The history was reset to a moment before these were cut off from others: the ledger knows them, it did not.
    reporter.partitionsAdded(partitions.add(unfinished));
  }
}
