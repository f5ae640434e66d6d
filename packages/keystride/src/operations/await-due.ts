import { Context } from '@temporalio/activity';
import { setTimeout as delay } from 'node:timers/promises';
import type { DueRequest } from '../contract/step-activities.ts';
import type { StepContext } from '../job/chunks.ts';
import type { JobRegistry, TaskletWork } from '../job/registry.ts';
import type { Room } from './room.ts';

/** How often a wait says that its worker lives, in milliseconds: Temporal Cloud bills each time, and nobody's work is held up. */
export const waitingHeartbeatMs = 10_000;

/**
 * Waits until a tasklet would find something to do, for as long as the request says at most. A worker that waits for enough
 * of them already looks once, at once.
 *
 * @returns whether it would.
 */
export async function awaitDue(
  { registry, waits }: { readonly registry: JobRegistry; readonly waits: Room },
  { claim, step, everySeconds, mostSeconds }: DueRequest,
  context: StepContext,
): Promise<boolean> {
  const { cancellationSignal: signal } = Context.current();
  const work = registry.work('tasklet', claim.job, step, context);
  if (!waits.isLeft) return isDue(work, signal);
  return waits.whileTaken(async () => {
    const until = performance.now() + mostSeconds * 1000;
    while (performance.now() < until) {
      await delay(everySeconds * 1000, undefined, { signal });
      if (await isDue(work, signal)) return true;
    }
    return false;
  });
}

/** Where a look fails, the step is to fail by the same: it is told, tried again and counted there. */
async function isDue({ due }: TaskletWork, signal: AbortSignal): Promise<boolean> {
  if (!due) return true;
  try {
    return await due(signal);
  } catch {
    signal.throwIfAborted();
    return true;
  }
}
